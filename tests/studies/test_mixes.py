"""Mixes: every pair once, the pure methods at the edges, and lines of equal size."""

import pytest

from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, RECALIBRATED
from core.studies.mixes import MIX_RATIOS, Mix, contour, mix_points
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
