"""Flips, classes and confusions against direct counts; the test over classes against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from core.measuring.flips import (
    DIRECTIONS,
    GAINED,
    LOST,
    STILL_RIGHT,
    ClassChange,
    Flips,
    confusion,
    spread,
)
from core.measuring.statistics import mcnemar

CLASSES = 4


@st.composite
def flips(draw: st.DrawFn) -> Flips:
    images = draw(st.integers(1, 80))
    answers = st.lists(st.integers(0, CLASSES - 1), min_size=images, max_size=images)
    return Flips(*(np.array(draw(answers)) for _ in range(3)))


@given(flips())
def test_every_image_goes_one_way(found: Flips) -> None:
    ways = np.sum([found.which(each) for each in DIRECTIONS], 0)
    assert (ways == 1).all()
    rows = list(zip(found.before, found.after, found.labels, strict=True))
    assert found.which(LOST).sum() == sum(b == y != a for b, a, y in rows)
    assert found.which(GAINED).sum() == sum(a == y != b for b, a, y in rows)
    assert found.which(STILL_RIGHT).sum() == sum(a == y == b for b, a, y in rows)
    assert found.agreement == pytest.approx(sum(b == a for b, a, _ in rows) / len(rows))
    assert found.test == mcnemar(found.before == found.labels, found.after == found.labels)


@given(flips())
def test_classes_add_up(found: Flips) -> None:
    changes = found.classes(CLASSES)
    assert sum(each.seen for each in changes) == len(found.labels)
    assert sum(each.right_before for each in changes) == found.was_right.sum()
    assert sum(each.right_after for each in changes) == found.is_right.sum()
    assert sum(each.lost for each in changes) == found.test.lost
    assert sum(each.gained for each in changes) == found.test.gained
    for each in changes:
        assert each.right_before - each.lost + each.gained == each.right_after
        assert each.change == pytest.approx((each.gained - each.lost) / each.seen)


@given(flips())
def test_confusions_and_their_shift_against_a_direct_count(found: Flips) -> None:
    before, after = (
        [
            [np.sum((found.labels == true) & (answers == said)) for said in range(CLASSES)]
            for true in range(CLASSES)
        ]
        for answers in (found.before, found.after)
    )
    assert np.array_equal(confusion(found.before, found.labels, CLASSES), before)
    shift = found.shift(CLASSES)
    assert np.array_equal(shift, np.array(after) - before)
    assert not shift.sum(1).any()
    assert np.trace(shift) == found.test.gained - found.test.lost


def test_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        Flips(np.zeros(3), np.zeros(4), np.zeros(3))


def changed(lost: list[int], gained: list[int], seen: int = 1000) -> tuple[ClassChange, ...]:
    return tuple(
        ClassChange(label, seen, 900, 900 - minus + plus, minus, plus)
        for label, (minus, plus) in enumerate(zip(lost, gained, strict=True))
    )


@pytest.mark.parametrize("lost", [[20, 22, 19, 18, 25], [30, 30, 31, 29, 60], [9, 90, 9, 9, 9]])
def test_the_p_value_is_near_that_of_a_contingency_table(lost: list[int]) -> None:
    """Where images are only lost, Pearson's chi-squared test asks nearly the same."""
    table = np.array([lost, [1000 - each for each in lost]])
    expected = chi2_contingency(table).pvalue
    assert spread(changed(lost, [0] * 5)).p_value == pytest.approx(expected, abs=0.06)


def test_three_images_are_too_few_for_a_formula() -> None:
    """Two of them fall on one of five classes in 52 of 100 draws; chi-squared would say 25."""
    assert spread(changed([0, 1, 0, 0, 2], [0] * 5)).p_value == pytest.approx(0.52, abs=0.04)


def test_the_p_value_against_a_shuffle_of_the_images_themselves() -> None:
    lost, gained, seen = [6, 2, 9, 1], [1, 4, 0, 2], 40
    generator = np.random.default_rng(7)
    flips = np.concatenate(
        [[1] * a + [-1] * b + [0] * (seen - a - b) for a, b in zip(lost, gained, strict=True)]
    )

    def unevenness(shuffled: np.ndarray) -> float:
        """The deviations of the classes from their common mean, each in its standard error."""
        classes = shuffled.reshape(4, seen)
        squares = [1 + sum(each**2 for each in row) - sum(row) ** 2 / seen for row in classes]
        parts = [seen**2 / each for each in squares]
        common = sum(p * row.mean() for p, row in zip(parts, classes, strict=True)) / sum(parts)
        return float(
            sum(p * (row.mean() - common) ** 2 for p, row in zip(parts, classes, strict=True))
        )

    drawn = [unevenness(generator.permutation(flips)) for _ in range(4000)]
    expected = np.mean(np.array(drawn) >= unevenness(flips) - 1e-9)
    found = spread(changed(lost, gained, seen)).p_value
    assert found == pytest.approx(expected, abs=0.03)


def test_the_class_that_pays_is_named() -> None:
    found = spread(changed([20, 22, 150, 18, 25, 1], [2, 0, 3, 1, 2, 1]))
    assert not found.is_even
    assert found.worse == (2,)
    assert 5 in found.better
    even = spread(changed([20, 22, 19, 18, 25], [2, 0, 3, 1, 2]))
    assert even.is_even
    assert even.worse == even.better == ()
    assert spread(changed([0, 0], [0, 0])).p_value == 1
    assert spread((ClassChange(0, 10, 9, 5, 4, 0),)).is_even


def test_no_class_is_named_by_chance_more_often_than_promised() -> None:
    generator = np.random.default_rng(3)
    alarms = 0
    for number in range(200):
        lost = generator.binomial(500, 0.05, size=8)
        found = spread(changed([int(each) for each in lost], [0] * 8, 500), seed=number)
        alarms += bool(found.worse or found.better)
    assert alarms <= 20  # 10 expected


@pytest.mark.parametrize("churn", [0.1, 0.2])
def test_a_class_that_flips_both_ways_does_not_stand_out(churn: float) -> None:
    """One class of ten flips far more often than the others, and loses no more than they do."""
    generator = np.random.default_rng(5)
    alarms = uneven = 0
    for number in range(200):
        rates = np.array([churn] + [0.02] * 9)
        lost, gained = generator.binomial(1000, rates + 0.01), generator.binomial(1000, rates)
        found = spread(changed(lost.tolist(), gained.tolist()), seed=number)
        alarms += bool(found.worse or found.better)
        uneven += not found.is_even
    assert alarms <= 24  # 10 expected
    assert uneven <= 24


def test_the_same_seed_gives_the_same_test() -> None:
    changes = changed([5, 9, 14], [1, 2, 0])
    assert spread(changes) == spread(changes)
