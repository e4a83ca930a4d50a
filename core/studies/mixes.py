"""Mixes of channels removed and weights zeroed: every pair of ratios, and those of one size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

MIX_RATIOS = tuple(step / 10 for step in range(9))
MIX_IMAGES, MIX_SEED = 2000, 0


@dataclass(frozen=True)
class Mix:
    """A pair of ratios, and what is left of the baseline's parameters, 0 to 1."""

    ratio: float  # of the channels
    rest: float  # of the weights left
    left: float


def mix(spec: PruningSpec, ratio: float, rest: float) -> PruningSpec:
    """Return a hybrid with these ratios, and the settings of a spec that removes channels."""
    return replace(spec, method="hybrid", ratio=ratio, rest_ratio=rest).canonical()


def mix_points(
    spec: PruningSpec, recoveries: Sequence[Recovery], ratios: Sequence[float] = MIX_RATIOS
) -> list[Point]:
    """Return the points of a map of all pairs of ratios; recoveries of one pair are adjacent."""
    return [
        Point(mix(spec, ratio, rest), recovery)
        for ratio in ratios
        for rest in ratios
        for recovery in recoveries
    ]


def contour(mixes: Iterable[Mix], left: float) -> list[tuple[float, float]]:
    """Return the pairs of ratios that leave so many parameters, ascending by the first.

    For each ratio of channels the second one is interpolated between its neighbours: what is left
    is linear in it.
    """
    columns: dict[float, list[Mix]] = {}
    for each in mixes:
        columns.setdefault(each.ratio, []).append(each)
    found = []
    for ratio, column in sorted(columns.items()):
        column.sort(key=lambda each: each.rest)
        for one, other in pairwise(column):
            if one.left >= left >= other.left and one.left > other.left:
                part = (one.left - left) / (one.left - other.left)
                found.append((ratio, one.rest + part * (other.rest - one.rest)))
                break
    return found
