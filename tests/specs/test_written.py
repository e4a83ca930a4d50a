"""A point that is written is the one that is read; anything else is refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.specs.grid import grid
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, Recovery
from core.specs.vocabulary import ALLOCATIONS, CRITERIA, METHODS, RECOVERIES, SCOPES
from core.specs.written import point_of, text_of

POINTS = grid(
    list(METHODS), [0.0, 0.3], list(CRITERIA), list(ALLOCATIONS), list(SCOPES), list(RECOVERIES)
)


@given(st.sampled_from(POINTS))
def test_what_is_written_is_read_again(point: Point) -> None:
    again = point_of(text_of(point))
    assert again.recovery == point.recovery
    if point.spec.is_identity:
        assert again.spec == UNPRUNED
    else:
        assert again.spec == point.spec


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("unpruned", Point(UNPRUNED, NOTHING)),
        ("channel 0.5", Point(PruningSpec("channel", 0.5), NOTHING)),
        (" fine  .9  recovery=bn ", Point(PruningSpec("fine", 0.9), Recovery.named("bn"))),
        (
            "channel 0.5 criterion=l2 allocation=global ceiling=0.75 recovery=none",
            Point(PruningSpec("channel", 0.5, "l2", "global", ceiling=0.75), NOTHING),
        ),
        (
            "hybrid 0.5 rest_ratio=0.3",
            Point(PruningSpec("hybrid", 0.5, rest_ratio=0.3), NOTHING),
        ),
        (
            "channel 0.5 recovery=finetune images=2000 start=bn prunings=8",
            Point(
                PruningSpec("channel", 0.5),
                Recovery("finetune", 2000, start="bn", prunings=8),
            ),
        ),
    ],
)
def test_points_by_hand(text: str, point: Point) -> None:
    assert point_of(text) == point


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "names neither a checkpoint nor a setting"),
        ("channel", "names neither a checkpoint nor a setting"),
        ("channel half", "names neither a checkpoint nor a setting"),
        ("fine nan", "names neither a checkpoint nor a setting"),
        ("channel 2", "The ratio must be"),
        ("chanel 0.5", "chanel"),
        ("channel 0.5 bn", "'bn' is no setting"),
        ("channel 0.5 method=fine", "is no setting"),
        ("channel 0.5 overrides=x", "is no setting"),
        ("channel 0.5 seed=one", "seed should be a number"),
        ("channel 0.5 recovery=magic", "There is no recovery 'magic'"),
        ("channel 0.5 images=100", "images is a setting of a recovery"),
        ("channel 0.5 scope=everywhere", "everywhere"),
    ],
)
def test_what_cannot_be_is_refused(text: str, word: str) -> None:
    with pytest.raises(InputError) as refused:
        point_of(text)
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)
