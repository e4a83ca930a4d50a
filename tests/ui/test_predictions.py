"""What the page Predictions says and shows, without a page."""

import numpy as np
import pytest

from core.measuring.flips import ClassChange, Flips, spread
from core.measuring.statistics import PairedTest
from core.studies.paying import classes_in_words, flips_in_words
from core.ui.parts.gallery import FRAME_COLOR, framed, sized
from core.ui.predictions.classes import MOST_ROWS, ends_of
from core.ui.predictions.confusion import largest_of
from core.ui.predictions.filters import ANY_ANSWER, ANY_CLASS, ANY_DIRECTION, Filter, options_of

NAMES = ["cat", "dog", "ship", "any class"]


def test_flips_are_called_what_the_test_says() -> None:
    assert flips_in_words(PairedTest(212, 31, 1e-9)) == "lost 212, won 31: a real loss"
    assert flips_in_words(PairedTest(31, 1212, 1e-9)) == "lost 31, won 1,212: a real gain"
    assert flips_in_words(PairedTest(9, 8, 0.9)) == "lost 9, won 8: can't be told apart"


def changes(*net: int) -> tuple[ClassChange, ...]:
    return tuple(
        ClassChange(label, 1000, 500, 500 + each, max(0, -each), max(0, each))
        for label, each in enumerate(net)
    )


def test_classes_that_gained_are_not_said_to_pay() -> None:
    lost = changes(-200, -20, -22, -19)
    said = classes_in_words(lost, spread(lost), NAMES)
    assert "Worse than the average: cat (−20.0 points)." in said
    gained = changes(20, 220, 200, 210)
    said = classes_in_words(gained, spread(gained), NAMES)
    assert "Worse than the average: cat (+2.0 points)." in said
    assert "pay" not in said
    even = changes(-20, -21, -19, -20)
    assert classes_in_words(even, spread(even), NAMES).startswith("All classes fared alike")
    none = changes(0, 0)
    assert classes_in_words(none, spread(none), NAMES) == "No image changed sides."


def test_a_filter_tells_own_names_from_its_options() -> None:
    flips = Flips(np.array([0, 1, 3, 3]), np.array([0, 2, 3, 0]), np.array([0, 1, 3, 3]))
    everything = Filter(ANY_DIRECTION, ANY_CLASS, ANY_ANSWER, ANY_ANSWER)
    assert everything.which(flips, NAMES).all()
    own = Filter(ANY_DIRECTION, options_of(NAMES)[3], ANY_ANSWER, ANY_ANSWER)
    assert own.which(flips, NAMES).tolist() == [False, False, True, True]
    before = Filter(ANY_DIRECTION, ANY_CLASS, options_of(NAMES)[3], "cat")
    assert before.which(flips, NAMES).tolist() == [False, False, False, True]
    assert Filter("lost", ANY_CLASS, ANY_ANSWER, "ship").which(flips, NAMES).tolist() == [
        *(False, True, False, False)
    ]


@pytest.mark.parametrize(
    ("size", "shown"), [(8, 96), (28, 84), (32, 96), (64, 64), (96, 96), (224, 192)]
)
def test_pictures_are_enlarged_by_whole_numbers_and_large_ones_shrunk(
    size: int, shown: int
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (size, size, 3)).astype(np.uint8)
    found = sized(picture)
    assert found.shape == (shown, shown, 3)
    if size <= 96:
        scale = shown // size
        assert np.array_equal(found[::scale, ::scale], picture)
    with_frame = framed(picture, (0.5, 0.5, 1.0, 1.0))
    assert with_frame.shape == found.shape
    is_frame = (with_frame == FRAME_COLOR).all(2)
    assert is_frame[-1, -1]
    assert is_frame[round(0.5 * (shown - 2)), -1]
    assert not is_frame[: shown // 2 - 2].any()
    assert np.array_equal(framed(picture, None), found)


def test_of_many_classes_both_ends_are_drawn() -> None:
    names = [str(number) for number in range(1000)]
    ends = ends_of(names)
    assert ends[0] == "0"
    assert ends[-1] == "999"
    assert len(ends) == MOST_ROWS
    assert ends_of(names[:10]) == names[:10]


def test_the_largest_confusions_are_found_without_the_right_answers() -> None:
    counts = np.random.default_rng(2).integers(-50, 50, (30, 30))
    found = largest_of(counts, [str(number) for number in range(30)])
    wrong = sorted(
        (abs(counts[row, column]) for row in range(30) for column in range(30) if row != column),
        reverse=True,
    )
    assert found["images"].abs().tolist() == wrong[: len(found)]
    rows, columns = (found[name].astype(int).to_numpy() for name in ("true", "answer"))
    assert np.array_equal(counts[rows, columns], found["images"])
