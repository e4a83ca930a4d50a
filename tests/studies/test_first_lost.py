"""When an image is lost, against a scan over its answers; hard images against a direct count."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.studies.curves import thinned
from core.studies.first_lost import OverRatios
from core.studies.hard_images import count_wrong
from tests.results.conftest import key_of, result_of

RATIOS = (0.0, 0.1, 0.35, 0.95)


@st.composite
def rights(draw: st.DrawFn) -> np.ndarray:
    images = draw(st.integers(1, 12))
    rows = st.lists(st.booleans(), min_size=images, max_size=images)
    return np.array(draw(st.lists(rows, min_size=4, max_size=4)))


@given(rights())
def test_first_lost_is_what_a_scan_finds(right: np.ndarray) -> None:
    over = OverRatios(RATIOS, right)
    for image in range(right.shape[1]):
        lost = [ratio for ratio, row in zip(RATIOS, right, strict=True) if not row[image]]
        found = over.first_lost[image]
        assert found == lost[0] if lost else np.isnan(found)


@given(rights(), st.randoms(use_true_random=False))
def test_counts_are_those_of_images_that_were_right(right: np.ndarray, random: object) -> None:
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    was_right: np.ndarray = generator.random((right.shape[1],)) < 0.7
    labels: np.ndarray = generator.integers(0, 3, (right.shape[1],))
    over = OverRatios(RATIOS, right)
    counted = over.lost_at(was_right, labels)
    expected: dict[tuple[int, float], int] = {}
    for image in np.flatnonzero(was_right):
        if not np.isnan(over.first_lost[image]):
            kind = (int(labels[image]), float(over.first_lost[image]))
            expected[kind] = expected.get(kind, 0) + 1
    assert {(label, ratio): images for label, ratio, images in counted} == expected


def test_a_dense_curve_is_thinned_to_twentieths() -> None:
    dense = [step / 100 for step in range(96)]
    assert thinned(dense) == [step / 100 for step in range(0, 96, 5)]
    assert thinned(dense, 0.33) == sorted([0.33, *thinned(dense)])
    assert thinned(dense[:40]) == dense[:40]


def test_hard_images_are_counted_over_all_settings() -> None:
    results = [result_of(key_of("channel", step / 10)) for step in range(1, 8)]
    collapsed = result_of(key_of("channel", 0.9))
    collapsed = replace(collapsed, predictions=np.zeros_like(collapsed.predictions))
    found = count_wrong([*results, collapsed])
    best = max(each.evaluation.correct for each in results)
    results = [each for each in results if each.evaluation.correct >= 0.9 * best]
    assert found is not None
    assert found.settings == len(results) > 1
    assert found.baselines == 1
    for image in range(len(results[0].labels)):
        wrong = sum(each.predictions[image] != each.labels[image] for each in results)
        assert found.wrong[image] == wrong
    hardest = found.hardest(20)
    assert found.wrong[hardest].tolist() == sorted(found.wrong.tolist(), reverse=True)[:20]
    assert count_wrong([]) is None


@pytest.mark.parametrize("count", [1, 5])
def test_of_equally_hard_images_the_first_come_first(count: int) -> None:
    (only,) = [count_wrong([result_of(key_of("fine", 0.5))])]
    assert only is not None
    expected = np.flatnonzero(only.wrong == 1)[:count]
    assert only.hardest(count).tolist() == expected.tolist()
