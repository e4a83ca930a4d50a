"""Find the best settings without training, compared at equal numbers of parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.pruning import Pruner, ratio_that_removes
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import RECALIBRATED, Recovery
from core.specs.vocabulary import METHODS, SCOPES

CHOICE_IMAGES = 2000
CHOICE_SEED = 0
PARTS = (0.3, 0.5, 0.7)  # fractions of all parameters that are removed
CEILINGS = (1.0, 0.75)
"""What a layer or group loses at most, where they compete."""
YARDSTICKS = ("first", "random")
"""Criteria that no one would choose."""


@dataclass(frozen=True)
class Candidate:
    """Settings, with their ratio and accuracy for each fraction of parameters removed."""

    spec: PruningSpec  # its ratio is ignored
    ratios: tuple[float, ...]
    accuracies: tuple[float, ...]

    @property
    def mean_accuracy(self) -> float:
        return float(np.mean(self.accuracies))


def candidates(method: str) -> list[PruningSpec]:
    """Return every distinct setting of a method, without the yardsticks."""
    specs = [
        PruningSpec(method, 0.5, criterion, allocation, scope, ceiling=ceiling).canonical()
        for criterion in METHODS[method].criteria
        if criterion not in YARDSTICKS
        for allocation in METHODS[method].allocations
        for scope in SCOPES
        for ceiling in CEILINGS
    ]
    return list(dict.fromkeys(specs))


def contest(
    pruner: Pruner,
    specs: Sequence[PruningSpec],
    parts: Sequence[float] = PARTS,
    recovery: Recovery = RECALIBRATED,
) -> dict[PruningSpec, list[Point]]:
    """Return the points to measure for each candidate.

    Candidates are compared where they remove the same fractions (`parts`) of all parameters. At
    equal ratios, settings that leave some layers alone would look too good.
    """
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
    """Return the candidates of a contest, the highest mean accuracy first."""
    found = [
        Candidate(
            spec,
            tuple(point.spec.ratio for point in each),
            tuple(accuracy_of(point) for point in each),
        )
        for spec, each in points.items()
    ]
    return sorted(found, key=lambda candidate: -candidate.mean_accuracy)
