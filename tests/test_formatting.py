"""Numbers as people read them, in one style."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.formatting import change, decimal, percent, percent_within


@pytest.mark.parametrize(
    ("part", "digits", "text"),
    [(0.917, 1, "91.7%"), (0, 1, "0.0%"), (1, 1, "100.0%"), (0.9171, 2, "91.71%"), (0.5, 0, "50%")],
)
def test_a_part_is_written_in_percent(part: float, digits: int, text: str) -> None:
    assert percent(part, digits) == text


def test_an_accuracy_has_half_its_interval_beside_it() -> None:
    assert percent_within(0.917, 0.912, 0.922) == "91.7% ± 0.5"


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [
        (-44.12, "\u221244.1", "\u221244.1"),
        (0.26, "0.3", "+0.3"),
        (-0.04, "0.0", "+0.0"),
        (0.0, "0.0", "+0.0"),
        (-0.06, "\u22120.1", "\u22120.1"),
    ],
)
def test_a_minus_is_a_true_one_and_nothing_is_less_than_zero_by_rounding(
    value: float, plain: str, signed: str
) -> None:
    assert decimal(value) == plain
    assert change(value) == signed


@given(st.floats(-1000, 1000))
def test_what_is_written_is_the_number(value: float) -> None:
    for text in (decimal(value), change(value)):
        assert "-" not in text
        assert float(text.replace("\u2212", "-")) == pytest.approx(value, abs=0.0501)
