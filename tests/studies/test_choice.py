"""Candidates are all there is, meet at equal sizes, and the best comes first."""

import pytest

from core.networks.layers import nonzero_parameters
from core.specs.pruning import PruningSpec
from core.specs.recovery import RECALIBRATED, RECONSTRUCTED, Recovery
from core.studies.choice import PARTS, candidates, contest, rank
from tests.combinations import COMBINATIONS
from tests.small_networks import pruner_of, random_network


@pytest.mark.parametrize(("method", "number"), [("fine", 18), ("channel", 70)])
def test_every_setting_but_chance_competes_once(method: str, number: int) -> None:
    found = candidates(method)
    assert len(found) == len(set(found)) == number
    possible = {
        PruningSpec(which, 0.5, criterion, allocation, scope, ceiling=ceiling).canonical()
        for which, criterion, allocation, scope in COMBINATIONS
        for ceiling in (1.0, 0.75)
        if which == method and criterion not in ("random", "first")
    }
    assert set(found) == possible


@pytest.mark.parametrize("recovery", [RECALIBRATED, RECONSTRUCTED])
@pytest.mark.parametrize("method", ["fine", "channel"])
def test_candidates_meet_where_they_leave_as_many_parameters(
    method: str, recovery: Recovery
) -> None:
    pruner = pruner_of(random_network())
    everything = sum(nonzero_parameters(pruner.baseline.module).values())
    points = contest(pruner, candidates(method), recovery=recovery)
    assert list(points) == candidates(method)
    for of_one in points.values():
        assert len(of_one) == len(PARTS)
        for part, point in zip(PARTS, of_one, strict=True):
            assert point.recovery == recovery
            left = sum(nonzero_parameters(pruner.prune(point.spec).network.module).values())
            assert 1 - left / everything == pytest.approx(part, abs=0.05)  # of 8 channels


def test_the_best_on_average_comes_first() -> None:
    pruner = pruner_of(random_network())
    by_l1 = [spec for spec in candidates("fine") if spec.criterion == "l1" and spec.ceiling == 1]
    points = contest(pruner, by_l1, (0.2, 0.6))
    worth = {"uniform": 0.3, "global": 0.5, "lamp": 0.9, "erk": 0.4}
    ranked = rank(
        points, lambda point: worth[point.spec.allocation] + 0.1 * (point.spec.ratio > 0.5)
    )
    assert [candidate.spec.allocation for candidate in ranked] == [
        "lamp",
        "global",
        "erk",
        "uniform",
    ]
    assert ranked[0].mean_accuracy == pytest.approx(0.95)
    assert ranked[0].accuracies == (0.9, 1.0)
    assert ranked[0].ratios == tuple(point.spec.ratio for point in points[ranked[0].spec])
