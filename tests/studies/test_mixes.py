"""Mixes: every pair once, the pure methods at the edges, and lines of equal size."""

import pytest
import torch

from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, RECALIBRATED
from core.studies.mixes import (
    CHANNELS,
    MIX_RATIOS,
    MIXED,
    WEIGHTS,
    Mix,
    best_path,
    contour,
    mix_points,
    steps,
)
from tests.small_networks import random_network

SPEC = PruningSpec("channel", 0.5, scope="internal")


def test_every_pair_is_there_once_with_the_pure_methods_at_the_edges() -> None:
    points = mix_points(SPEC, [NOTHING, RECALIBRATED])
    assert len(points) == len(set(points)) == 2 * len(MIX_RATIOS) ** 2
    specs = [point.spec for point in points[::2]]
    assert [point.spec for point in points[1::2]] == specs
    assert specs[0].is_identity
    for row, ratio in enumerate(MIX_RATIOS):
        of_ratio = specs[row * len(MIX_RATIOS) : (row + 1) * len(MIX_RATIOS)]
        assert of_ratio[0].method == "channel"
        assert all(spec.scope == "internal" for spec in of_ratio if spec.ratio and row)
        assert {spec.method for spec in of_ratio[1:]} == {"hybrid" if row else "fine"}
        assert ratio == pytest.approx(of_ratio[0].ratio)


def test_a_contour_leaves_so_many_parameters() -> None:
    pruner = Pruner(random_network())
    everything = sum(pruner.baseline.nonzero.values())

    def left(ratio: float, rest: float) -> float:
        spec = PruningSpec("hybrid", ratio, rest_ratio=rest)
        return sum(pruner.prune(spec).network.nonzero.values()) / everything

    mixes = [Mix(ratio, rest, left(ratio, rest)) for ratio in MIX_RATIOS for rest in MIX_RATIOS]
    for size in (0.6, 0.3, 0.1):
        line = contour(mixes, size)
        assert len(line) > 1
        for ratio, rest in line:
            assert left(ratio, rest) == pytest.approx(size, abs=0.01)


def test_a_size_that_no_mix_has_has_no_contour() -> None:
    mixes = [Mix(0.0, rest, 1 - rest / 2) for rest in (0.0, 0.5, 1.0)]
    assert contour(mixes, 0.2) == []
    assert contour(mixes, 0.75) == [(0.0, 0.5)]
    ((ratio, rest),) = contour(mixes, 0.6)
    assert ratio == 0
    assert rest == pytest.approx(0.8)


def test_the_path_has_the_best_mix_of_each_size() -> None:
    generator = torch.Generator().manual_seed(0)
    correct = {
        Mix(ratio, rest, (1 - ratio) ** 2 * (1 - rest)): int(
            torch.randint(0, 50, (1,), generator=generator)
        )
        for ratio in MIX_RATIOS
        for rest in MIX_RATIOS
    }
    sizes = (0.5, 0.1, 0.3, 0.001)
    path = best_path(correct, sizes)
    assert [size for size, _ in path] == sorted((size for size, _ in path), reverse=True)
    assert len({mix for _, mix in path}) == len(path)
    assert path[-1][0] == 0.1  # none is as small as 0.001
    for size in (0.5, 0.3, 0.1):
        most = max(number for mix, number in correct.items() if mix.left <= size)
        (best,) = [mix for of, mix in path if mix.left <= size and correct[mix] == most]
        assert all(
            mix.left >= best.left
            for mix, number in correct.items()
            if number == most and mix.left <= size
        )


def test_rivals_are_as_small_as_the_mix() -> None:
    pruner = Pruner(random_network())
    everything = sum(pruner.baseline.nonzero.values())
    spec = PruningSpec("hybrid", 0.3, rest_ratio=0.5)
    left = sum(pruner.prune(spec).network.nonzero.values()) / everything
    (step,) = steps(pruner, PruningSpec("channel", 0.5), [(0.3, Mix(0.3, 0.5, left))])
    assert step.specs[MIXED] == spec.canonical()
    assert step.specs[WEIGHTS].method == "fine"
    assert step.specs[CHANNELS].method == "channel"
    for rival in (WEIGHTS, CHANNELS):
        found = sum(pruner.prune(step.specs[rival]).network.nonzero.values()) / everything
        assert found == pytest.approx(left, rel=0.15)
    (tiny,) = steps(pruner, PruningSpec("channel", 0.5), [(0.01, Mix(0.8, 0.8, 0.001))])
    assert set(tiny.specs) == {MIXED}  # no pure pruning is as small
