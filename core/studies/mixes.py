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
    """Return pairs of ratios that leave so many parameters, ascending by the first.

    They are interpolated between neighbours, along both ratios: what is left is about linear in
    the second one, and its root in the first.
    """
    known = list(mixes)
    found = set()
    for ratio, column in _lines(known, "ratio").items():
        column.sort(key=lambda each: each.rest)
        found |= {(ratio, rest) for rest in _crossings([(m.rest, m.left) for m in column], left)}
    for rest, row in _lines(known, "rest").items():
        row.sort(key=lambda each: each.ratio)
        roots = [(each.ratio, each.left**0.5) for each in row]
        found |= {(ratio, rest) for ratio in _crossings(roots, left**0.5)}
    return sorted(found, key=lambda pair: (pair[0], -pair[1]))


def _lines(mixes: Iterable[Mix], name: str) -> dict[float, list[Mix]]:
    """Group mixes by one of their ratios."""
    found: dict[float, list[Mix]] = {}
    for each in mixes:
        found.setdefault(getattr(each, name), []).append(each)
    return found


def _crossings(line: Sequence[tuple[float, float]], value: float) -> list[float]:
    """Return where a falling line of (place, value) has this value."""
    for (start, above), (end, below) in pairwise(line):
        if above >= value >= below and above > below:
            return [start + (above - value) / (above - below) * (end - start)]
    return []
