"""Mixes of channels removed and weights zeroed: every pair of ratios, and those of one size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from core.pruning import Pruner, ratio_that_removes
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

MIX_RATIOS = tuple(step / 10 for step in range(9))
MIX_IMAGES, MIX_SEED = 2000, 0
PATH_SIZES = (0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.03)
"""Parts of the parameters that are left, for which the best mix is looked for."""
LARGEST_MISMATCH = 0.15
"""Of the sizes of two prunings that are set against each other, relative."""
MIXED, WEIGHTS, CHANNELS = "Best mix", "Weights alone", "Channels alone"
CONTENDERS = (MIXED, WEIGHTS, CHANNELS)
WEIGHTS_SPEC = PruningSpec("fine", 0.0, allocation="global")
"""What a hybrid does with the weights of what is left."""


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


@dataclass(frozen=True)
class Step:
    """The best mix of at most one size, and pure prunings of the same size."""

    size: float  # of the baseline's parameters, 0 to 1
    mix: Mix
    specs: Mapping[str, PruningSpec] = field(hash=False)  # of CONTENDERS that can be as small


def best_path(
    correct: Mapping[Mix, int], sizes: Sequence[float] = PATH_SIZES
) -> list[tuple[float, Mix]]:
    """Return for each size the mix that leaves no more and has the most images right.

    Of equals it is the smaller one; a size whose best mix is that of a larger size is left out.
    """
    found: dict[Mix, float] = {}
    for size in sorted(sizes, reverse=True):
        small = [mix for mix in correct if mix.left <= size]
        if small:
            best = max(small, key=lambda mix: (correct[mix], -mix.left))
            found[best] = size  # the smallest size that it is best of
    return [(size, best) for best, size in found.items()]


def steps(pruner: Pruner, spec: PruningSpec, path: Iterable[tuple[float, Mix]]) -> list[Step]:
    """Return the mixes of a path with weights alone and channels alone of the same size.

    The spec removes channels; its settings are those of the mixes and of channels alone. What
    cannot be made as small is left out.
    """
    found = []
    for size, best in path:
        rivals = {
            WEIGHTS: _as_small(pruner, WEIGHTS_SPEC, best.left),
            CHANNELS: _as_small(pruner, replace(spec, method="channel"), best.left),
        }
        specs = {MIXED: mix(spec, best.ratio, best.rest)}
        specs |= {name: rival for name, rival in rivals.items() if rival is not None}
        found.append(Step(size, best, specs))
    return found


def with_sizes(results: Iterable[Result], parameters: int) -> dict[Mix, int]:
    """Return how many images each mix has right; `parameters` are those of the baseline."""
    found = {}
    for result in results:
        spec = result.key.spec
        is_pure = spec.method == "fine"  # the map's edge, where no channel goes
        ratio, rest = (0.0, spec.ratio) if is_pure else (spec.ratio, spec.rest_ratio)
        left = result.cost.nonzero / parameters
        found[Mix(ratio, rest, left)] = result.evaluation.correct
    return found


def _as_small(pruner: Pruner, spec: PruningSpec, left: float) -> PruningSpec | None:
    """Return the spec at the ratio that leaves as many parameters; None if it cannot."""
    ratio = ratio_that_removes(pruner, spec, 1 - left)
    found = replace(spec, ratio=ratio).canonical()
    everything = sum(pruner.baseline.nonzero.values())
    reached = sum(pruner.prune(found).network.nonzero.values()) / everything
    return found if abs(reached - left) <= LARGEST_MISMATCH * left else None


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
