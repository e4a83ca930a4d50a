"""The frontier by brute force, and winners that are not judged on the images that chose them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.studies.pareto import Judged, Judges, cheapest_within, frontier
from tests.results.conftest import LABELS, key_of, result_of

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(POINTS)
def test_the_frontier_is_what_nothing_else_beats(points: list[tuple[int, int]]) -> None:
    expected = [
        not any(
            cost <= mine and right >= my_right and (cost, right) != (mine, my_right)
            for cost, right in points
        )
        for mine, my_right in points
    ]
    cost, accuracy = np.array(points, dtype=float).T
    assert frontier(cost, accuracy).tolist() == expected


def test_every_image_either_chooses_or_judges() -> None:
    judges = Judges.of(LABELS, 60)
    assert len(judges.choosing) == 60
    assert sorted([*judges.choosing, *judges.judging]) == list(range(len(LABELS)))
    assert len(Judges.of(LABELS, 10**6).choosing) == len(LABELS) // 2
    result = result_of(key_of())
    judged = judges.judge(result)
    assert judged.choosing + judged.judging == result.evaluation.correct
    chosen = set(judges.choosing.tolist())
    right = np.flatnonzero(result.predictions == result.labels)
    assert judged.choosing == sum(int(place) in chosen for place in right)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([5.0, 3.0, 1.0, 2.0], 3),  # 1.0 loses two points
        ([5.0, 2.0, 1.0, 2.0], 1),  # as cheap, and more accurate
        ([5.0, None, 1.0, None], 0),
        ([None, None, 1.0, None], None),
    ],
)
def test_the_cheapest_that_loses_at_most_a_point_wins(
    costs: list[float | None], expected: int | None
) -> None:
    judged = [Judged(right, 0) for right in (950, 945, 930, 940)]
    assert cheapest_within(costs, judged, Judged(950, 0), 1000) == expected
