"""Which settings work best without training: they compete at equal numbers of parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.pruning import Pruner, ratio_that_removes
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS, SCOPES

CHOICE_IMAGES = 2000
CHOICE_SEED = 0
PARTS = (0.3, 0.5, 0.7)  # of all parameters, removed
RANDOM = "random"


@dataclass(frozen=True)
class Candidate:
    """Settings, and what they reached at the ratios that remove each of the parts."""

    spec: PruningSpec  # its ratio is without meaning
    ratios: tuple[float, ...]
    accuracies: tuple[float, ...]

    @property
    def mean_accuracy(self) -> float:
        return float(np.mean(self.accuracies))


def candidates(method: str) -> list[PruningSpec]:
    """Every setting of a method that is not left to chance, each once."""
    specs = [
        PruningSpec(method, 0.5, criterion, allocation, scope).canonical()
        for criterion in METHODS[method].criteria
        if criterion != RANDOM
        for allocation in METHODS[method].allocations
        for scope in SCOPES
    ]
    return list(dict.fromkeys(specs))


def contest(
    pruner: Pruner, specs: Sequence[PruningSpec], parts: Sequence[float] = PARTS
) -> dict[PruningSpec, list[Point]]:
    """What must be measured of each candidate, with batch-norm recalibrated.

    They meet where they remove the same `parts` of all parameters: at equal ratios settings that
    spare some layers would look better than they are.
    """
    recovery = Recovery.named("bn")
    return {
        spec: [
            Point(replace(spec, ratio=ratio_that_removes(pruner, spec, part)), recovery)
            for part in parts
        ]
        for spec in specs
    }


def rank(
    points: dict[PruningSpec, list[Point]], accuracy_of: Callable[[Point], float]
) -> list[Candidate]:
    """The candidates of a contest, the best first."""
    found = [
        Candidate(
            spec,
            tuple(point.spec.ratio for point in each),
            tuple(accuracy_of(point) for point in each),
        )
        for spec, each in points.items()
    ]
    return sorted(found, key=lambda candidate: -candidate.mean_accuracy)
