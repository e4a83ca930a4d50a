"""Intervals and paired tests against SciPy, and against their formulas written out."""

from fractions import Fraction
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from core.measuring.statistics import (
    PairedTest,
    is_better_than_guessing,
    is_no_better_than_guessing,
    mcnemar,
    wilson_interval,
)

Z = 1.959963984540054  # the normal quantile of 0.975


def wilson_by_formula(correct: int, seen: int) -> tuple[float, float]:
    share = correct / seen
    denominator = 1 + Z**2 / seen
    centre = (share + Z**2 / (2 * seen)) / denominator
    half = Z * sqrt(share * (1 - share) / seen + Z**2 / (4 * seen**2)) / denominator
    return centre - half, centre + half


def mcnemar_by_sum(lost: int, gained: int) -> float:
    """Twice the smaller tail of a fair coin, at most 1."""
    flips = lost + gained
    tail = sum(comb(flips, number) for number in range(min(lost, gained) + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**flips)))


@st.composite
def correct_and_seen(draw: st.DrawFn) -> tuple[int, int]:
    seen = draw(st.integers(1, 10_000))
    return draw(st.integers(0, seen)), seen


@given(correct_and_seen())
def test_wilson_equals_the_closed_formula(numbers: tuple[int, int]) -> None:
    assert wilson_interval(*numbers) == pytest.approx(wilson_by_formula(*numbers), abs=1e-9)


@given(correct_and_seen())
def test_wilson_equals_scipys(numbers: tuple[int, int]) -> None:
    expected = binomtest(*numbers).proportion_ci(0.95, method="wilson")
    assert wilson_interval(*numbers) == pytest.approx(
        (expected.low, expected.high), rel=1e-12, abs=0
    )


@given(correct_and_seen())
def test_wilson_stays_in_0_to_1_around_the_accuracy(numbers: tuple[int, int]) -> None:
    low, high = wilson_interval(*numbers)
    correct, seen = numbers
    assert 0 <= low <= correct / seen <= high <= 1
    assert low < high


@pytest.mark.parametrize("seen", [1, 10, 1000, 10_000])
def test_wilson_of_none_and_of_all_correct(seen: int) -> None:
    beyond = Z**2 / (seen + Z**2)
    assert wilson_interval(0, seen) == pytest.approx((0, beyond), abs=1e-12)
    assert wilson_interval(seen, seen) == pytest.approx((1 - beyond, 1), abs=1e-12)


@pytest.mark.parametrize(("correct", "seen"), [(0, 0), (-1, 10), (11, 10)])
def test_wilson_refuses_impossible_counts(correct: int, seen: int) -> None:
    with pytest.raises(ValueError):
        wilson_interval(correct, seen)


@given(*[st.integers(0, 60)] * 4)
def test_mcnemar_equals_the_binomial_sum(both: int, lost: int, gained: int, neither: int) -> None:
    pairs = [(True, True)] * both + [(True, False)] * lost
    pairs += [(False, True)] * gained + [(False, False)] * neither
    table = np.array(pairs, dtype=bool).reshape(-1, 2)
    np.random.default_rng(0).shuffle(table)
    result = mcnemar(table[:, 0], table[:, 1])
    assert (result.lost, result.gained) == (lost, gained)
    assert result.p_value == pytest.approx(mcnemar_by_sum(lost, gained), rel=1e-9)


def p_value_of(lost: int, gained: int) -> float:
    reference = np.arange(lost + gained) < lost
    return mcnemar(reference, ~reference).p_value


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_mcnemar_equals_scipys_binomial_test(lost: int, gained: int) -> None:
    expected = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert p_value_of(lost, gained) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize(("lost", "gained"), [(5000, 5000), (4100, 3900), (9000, 90), (10_000, 0)])
def test_mcnemar_of_the_whole_test_set_is_its_sum(lost: int, gained: int) -> None:
    assert p_value_of(lost, gained) == pytest.approx(mcnemar_by_sum(lost, gained), rel=1e-12, abs=0)


def test_without_flips_nothing_differs() -> None:
    same = np.array([True, False, True])
    assert mcnemar(same, same) == PairedTest(lost=0, gained=0, p_value=1.0)
    assert mcnemar(np.zeros(0, bool), np.zeros(0, bool)).p_value == 1


def test_swapping_the_networks_swaps_lost_and_gained() -> None:
    first, second = np.random.default_rng(0).random((2, 200)) < [[0.9], [0.8]]
    forth, back = mcnemar(first, second), mcnemar(second, first)
    assert (forth.lost, forth.gained) == (back.gained, back.lost)
    assert forth.p_value == back.p_value
    assert forth.lost > forth.gained > 0


@pytest.mark.parametrize(("flips", "significant"), [(5, False), (6, True)])
def test_six_flips_of_one_kind_are_the_fewest_to_be_significant(
    flips: int, significant: bool
) -> None:
    """Since 2 / 2^5 is above 0.05 and 2 / 2^6 below."""
    reference = np.ones(100, dtype=bool)
    other = np.arange(100) >= flips
    assert mcnemar(reference, other).significant is significant


def test_a_paired_test_needs_the_same_images() -> None:
    with pytest.raises(ValueError, match="same images"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))


def at_most(correct: int, seen: int, accuracy: Fraction) -> Fraction:
    """How likely it is to have at most so many right, as a sum over the binomial distribution."""
    return sum(
        (
            comb(seen, right) * accuracy**right * (1 - accuracy) ** (seen - right)
            for right in range(correct + 1)
        ),
        Fraction(0),
    )


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_guessing_is_tested_with_exact_one_sided_binomial_sums(classes: int) -> None:
    seen, chance = 120, Fraction(1, classes)
    level = Fraction(1, 20)
    for correct in range(seen + 1):
        at_least = 1 - at_most(correct - 1, seen, chance)
        assert is_better_than_guessing(correct, seen, classes) == (at_least < level)
        below = at_most(correct, seen, chance + min(Fraction(1, 100), chance / 10))
        assert is_no_better_than_guessing(correct, seen, classes) == (below < level)


def test_few_images_cannot_say_that_a_network_guesses_and_many_can() -> None:
    assert not is_no_better_than_guessing(10, 100, 10)
    assert not is_better_than_guessing(10, 100, 10)
    assert is_no_better_than_guessing(1000, 10_000, 10)
    assert is_better_than_guessing(1000, 10_000, 100)


def test_three_times_chance_is_better_than_guessing_among_many_classes_too() -> None:
    assert is_better_than_guessing(100, 10_000, 300)
    assert not is_no_better_than_guessing(100, 10_000, 300)
