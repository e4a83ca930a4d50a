"""All criteria against each other, at one ratio and after each recovery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.measuring.statistics import mcnemar
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS
from core.sweeps.reading import can_be_paired

CRITERIA_IMAGES, CRITERIA_SEED = 2000, 0


@dataclass(frozen=True)
class Standing:
    """A criterion against the best one after the same recovery, on the same images."""

    criterion: str
    result: Result
    is_best: bool
    is_worse: bool | None  # significantly; None where it cannot be tested


def criteria_points(spec: PruningSpec, recoveries: Sequence[Recovery]) -> list[Point]:
    """Return the points of every criterion that the spec's method can use."""
    return [
        Point(replace(spec, criterion=criterion).canonical(), recovery)
        for criterion in METHODS[spec.method].criteria
        for recovery in recoveries
    ]


def standings(results: Mapping[str, Result]) -> list[Standing]:
    """Return each criterion's standing, the best first; all results are of one recovery."""
    ordered = sorted(results.items(), key=lambda item: -item[1].evaluation.accuracy)
    if not ordered:
        return []
    best = ordered[0][1]
    found = []
    for criterion, result in ordered:
        is_worse = None
        if result is not best and can_be_paired(best, result):
            test = mcnemar(best.evaluation.is_right, result.evaluation.is_right)
            is_worse = test.significant
        found.append(Standing(criterion, result, result is best, is_worse))
    return found
