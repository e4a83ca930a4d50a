"""What a PruningSpec accepts, refuses, and holds to be the same."""

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from core.specs.pruning import PruningSpec
from core.specs.vocabulary import ALLOCATIONS, CRITERIA, METHODS, SCOPES
from tests.combinations import COMBINATIONS


def refusal(**settings: Any) -> str:
    with pytest.raises(ValueError) as caught:
        PruningSpec(**{"method": "channel", "ratio": 0.5, **settings})
    return str(caught.value)


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and ". " not in text and "\n" not in text


@pytest.mark.parametrize(
    "ratio",
    [-0.1, 1.0001, -1, 2, float("nan"), float("inf"), float("-inf"), "0.5", None, True, False, 1j],
)
def test_a_bad_ratio_is_refused_by_name(ratio: Any) -> None:
    message = refusal(ratio=ratio)
    assert is_one_sentence(message)
    assert repr(ratio) in message


@pytest.mark.parametrize("setting", ["method", "criterion", "allocation", "scope"])
@pytest.mark.parametrize("value", ["L1", "", "everything", None, 1, ["l1"]])
def test_an_unknown_choice_is_refused_by_name(setting: str, value: Any) -> None:
    message = refusal(**{setting: value})
    assert is_one_sentence(message)
    assert setting in message
    assert repr(value) in message


@pytest.mark.parametrize("seed", [-1, 1.0, "0", None, True, 2**63])
def test_a_bad_seed_is_refused_by_name(seed: Any) -> None:
    message = refusal(seed=seed)
    assert is_one_sentence(message)
    assert repr(seed) in message


def test_bn_is_refused_for_fine() -> None:
    message = refusal(method="fine", criterion="bn")
    assert is_one_sentence(message)
    assert "BN γ" in message
    assert "fine" in message


@pytest.mark.parametrize("ratio", [0, 1, 0.0, 1.0, 0.3, Fraction(1, 3), np.float32(0.25)])
def test_any_real_number_from_0_to_1_is_a_ratio(ratio: Any) -> None:
    spec = PruningSpec("fine", ratio).canonical()
    assert spec.ratio == float(ratio)
    assert type(spec.ratio) is float


def test_what_goes_together_is_allowed_and_nothing_else() -> None:
    everything = list(product(METHODS, CRITERIA, ALLOCATIONS, SCOPES))
    for method, criterion, allocation, scope in everything:
        if (method, criterion, allocation, scope) in COMBINATIONS:
            PruningSpec(method, 0.5, criterion, allocation, scope)
        else:
            message = refusal(method=method, criterion=criterion, allocation=allocation)
            assert is_one_sentence(message)
    assert len(COMBINATIONS) == (5 * 4 + 9 * 3 + 6 * 3 + 9 * 3) * 2


@pytest.mark.parametrize("allocation", ["lamp", "erk"])
def test_an_allocation_of_weights_is_refused_for_channels(allocation: str) -> None:
    message = refusal(allocation=allocation)
    assert allocation in message
    assert "channel" in message


@pytest.mark.parametrize(
    "overrides",
    [
        [("conv1", -0.1)],
        [("conv1", 1.1)],
        [("conv1", float("nan"))],
        [("conv1", "0.5")],
        [("conv1", True)],
        [(1, 0.5)],
        [("conv1",)],
        ["conv1"],
        [("conv1", 0.5), ("conv1", 0.5)],
        None,
        0.5,
        {"conv1": 0.5},
    ],
    ids=repr,
)
def test_bad_overrides_are_refused(overrides: Any) -> None:
    assert is_one_sentence(refusal(overrides=overrides))


def test_overrides_are_kept_in_order_of_names() -> None:
    spec = PruningSpec("channel", 0.5, overrides=[["b", 1], ["a", Fraction(1, 4)]])  # type: ignore[arg-type]
    assert spec.overrides == (("a", 0.25), ("b", 1.0))
    assert all(type(ratio) is float for _, ratio in spec.overrides)
    assert hash(spec) == hash(PruningSpec("channel", 0.5, overrides=(("a", 0.25), ("b", 1.0))))


@pytest.mark.parametrize(
    ("ratio", "overrides", "is_identity"),
    [(0, (), True), (0, (("a", 0),), True), (0, (("a", 0.1),), False), (0.1, (("a", 0),), False)],
)
def test_nothing_asked_for_is_the_identity(ratio: float, overrides: Any, is_identity: bool) -> None:
    assert PruningSpec("fine", ratio, overrides=overrides).is_identity is is_identity


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (PruningSpec("fine", 0.5, "l2"), PruningSpec("fine", 0.5, "l1")),
        (PruningSpec("fine", 0.5, scope="internal"), PruningSpec("fine", 0.5)),
        (PruningSpec("fine", 0.5, seed=3), PruningSpec("fine", 0.5)),
        (PruningSpec("fine", 1), PruningSpec("fine", 1.0)),
        (PruningSpec("channel", 0.5, "bn", seed=3), PruningSpec("channel", 0.5, "bn")),
        (
            PruningSpec("channel-mask", 0.5, "l2", "global", "internal", 3),
            PruningSpec("channel-mask", 0.5, "l2"),
        ),
        (
            PruningSpec("channel-mask", 0.5, "random", "global", "internal", 3),
            PruningSpec("channel-mask", 0.5, "random", seed=3),
        ),
    ],
)
def test_equivalent_specs_have_one_canonical_form(first: PruningSpec, second: PruningSpec) -> None:
    assert first.canonical() == second.canonical()
    assert hash(first.canonical()) == hash(second.canonical())
    assert first.canonical().canonical() == first.canonical()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (PruningSpec("channel", 0.5, "l2"), PruningSpec("channel", 0.5, "l1")),
        (PruningSpec("channel", 0.5, scope="internal"), PruningSpec("channel", 0.5)),
        (PruningSpec("fine", 0.5, allocation="global"), PruningSpec("fine", 0.5)),
        (PruningSpec("fine", 0.5, "random", seed=1), PruningSpec("fine", 0.5, "random")),
        (PruningSpec("channel-mask", 0.5, "l2"), PruningSpec("channel-mask", 0.5)),
        (PruningSpec("channel-mask", 0.5), PruningSpec("channel", 0.5)),
    ],
)
def test_different_prunings_stay_different(first: PruningSpec, second: PruningSpec) -> None:
    assert first.canonical() != second.canonical()
