"""Criteria against each other: all that a method can use, and paired tests against the best."""

from dataclasses import replace

import numpy as np
import pytest

from core.measuring.statistics import mcnemar
from core.results import Result
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, RECONSTRUCTED
from core.specs.vocabulary import METHODS
from core.studies.criteria import criteria_points, standings
from tests.results.conftest import WHOLE, key_of, result_of


@pytest.mark.parametrize("method", ["fine", "channel", "channel-mask"])
def test_every_criterion_is_there_after_every_recovery(method: str) -> None:
    points = criteria_points(PruningSpec(method, 0.5), [NOTHING, RECONSTRUCTED])
    distinct = {PruningSpec(method, 0.5, each).canonical() for each in METHODS[method].criteria}
    assert {point.spec for point in points} == distinct
    assert {point.recovery for point in points} == {NOTHING, RECONSTRUCTED}


def right_on(share: float, criterion: str, precision: str = "fp32") -> Result:
    """A result that is right on the first images."""
    key = key_of("channel", spec={"criterion": criterion}, precision=precision)
    result = result_of(key)
    predictions = result.labels.copy()
    wrong = slice(int(share * WHOLE), WHOLE)
    predictions[wrong] = (predictions[wrong] + 1) % 10
    return replace(result, predictions=predictions)


def test_the_best_comes_first_and_others_are_tested_against_it() -> None:
    shares = {"l1": 0.5, "l2": 0.9, "bn": 0.89, "random": 0.2}
    found = standings({name: right_on(share, name) for name, share in shares.items()})
    assert [each.criterion for each in found] == ["l2", "bn", "l1", "random"]
    assert [each.is_best for each in found] == [True, False, False, False]
    best = found[0].result.evaluation.is_right
    for each in found[1:]:
        right = each.result.evaluation.is_right
        assert each.is_worse == mcnemar(best, right).significant
    assert [each.is_worse for each in found[1:]] == [False, True, True]
    assert np.isclose(found[0].result.evaluation.accuracy, 0.9)


def test_results_in_another_precision_are_not_tested() -> None:
    found = standings({"l1": right_on(0.9, "l1"), "l2": right_on(0.5, "l2", precision="bf16")})
    assert found[1].is_worse is None
    assert standings({}) == []
