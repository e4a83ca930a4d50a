"""What a PruningSpec accepts, refuses, and holds to be the same."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from core.pruning import ALLOCATIONS, CRITERIA, METHODS, SCOPES, PruningSpec


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
    assert "Batch-norm" in message
    assert "fine" in message


@pytest.mark.parametrize("ratio", [0, 1, 0.0, 1.0, 0.3, Fraction(1, 3), np.float32(0.25)])
def test_any_real_number_from_0_to_1_is_a_ratio(ratio: Any) -> None:
    spec = PruningSpec("fine", ratio).canonical()
    assert spec.ratio == float(ratio)
    assert type(spec.ratio) is float


def test_every_combination_but_fine_with_bn_is_allowed() -> None:
    allowed = 0
    for method in METHODS:
        for criterion in CRITERIA:
            for allocation in ALLOCATIONS:
                for scope in SCOPES:
                    if (method, criterion) != ("fine", "bn"):
                        PruningSpec(method, 0.5, criterion, allocation, scope)
                        allowed += 1
    assert allowed == (3 * 4 - 1) * 2 * 2


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
