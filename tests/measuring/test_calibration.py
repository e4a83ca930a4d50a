"""The expected calibration error against the formula written out, and its interval on draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.measuring.calibration import BINS, calibration_error, reliability
from core.measuring.outcome import CODES, confidence_codes
from core.measuring.statistics import wilson_interval

Images = list[tuple[int, bool]]
IMAGES = st.lists(st.tuples(st.integers(1, CODES), st.booleans()), min_size=1, max_size=60)


def arrays(images: Images) -> tuple[np.ndarray, np.ndarray]:
    codes, right = zip(*images, strict=True)
    return np.array(codes, np.uint8), np.array(right)


def by_formula(images: Images, bins: int) -> float:
    found: dict[int, Images] = {}
    for code, right in images:
        found.setdefault(min(int(code / CODES * bins), bins - 1), []).append((code, right))
    total = 0.0
    for members in found.values():
        accuracy = sum(right for _, right in members) / len(members)
        confidence = sum(code / CODES for code, _ in members) / len(members)
        total += len(members) / len(images) * abs(accuracy - confidence)
    return total


@given(IMAGES, st.sampled_from([1, 10, BINS]))
def test_the_error_is_that_of_the_formula(images: Images, bins: int) -> None:
    found = calibration_error(*arrays(images), bins)
    assert found.value == pytest.approx(by_formula(images, bins), abs=1e-12)
    assert 0 <= found.low <= found.corrected <= found.high <= 1


@given(IMAGES)
def test_every_image_is_in_one_bin(images: Images) -> None:
    codes, right = arrays(images)
    bins = reliability(codes, right)
    assert sum(each.seen for each in bins) == len(images)
    assert sum(each.correct for each in bins) == right.sum()
    for each in bins:
        assert each.low - 1e-9 <= each.confidence <= each.high + 1e-9
        assert each.interval[0] <= each.accuracy <= each.interval[1]


def test_codes_are_the_nearest_of_255_steps() -> None:
    exact = np.linspace(0, 1, 1001)
    codes = confidence_codes(exact)
    assert codes.dtype == np.uint8
    assert codes.min() == 1  # 0 stands for what is not known
    assert np.abs(codes[2:] / CODES - exact[2:]).max() <= 0.5 / CODES + 1e-12


@pytest.mark.parametrize("images", [500, 2000])
@pytest.mark.parametrize("error", [0.0, 0.02, 0.1])
def test_the_interval_holds_the_true_error_about_as_often_as_it_says(
    error: float, images: int
) -> None:
    """A network that is right less often by `error` than it says, at every confidence."""
    generator = np.random.default_rng(1)
    held, found_errors = 0, []
    for number in range(100):
        codes = confidence_codes(0.4 + 0.59 * generator.beta(4, 1, images))
        right = generator.random(images) < codes / CODES - error
        found = calibration_error(codes, right, seed=number)
        held += found.low <= error <= found.high
        found_errors.append(found.corrected)
    assert held >= 78  # 95 expected; of few images and a large error a little fewer
    assert np.mean(found_errors) == pytest.approx(error, abs=0.012)


def test_the_same_seed_gives_the_same_interval() -> None:
    generator = np.random.default_rng(2)
    codes, right = generator.integers(1, 256, 300).astype(np.uint8), generator.random(300) < 0.5
    assert calibration_error(codes, right) == calibration_error(codes, right)


def test_a_large_error_has_the_interval_of_an_accuracy() -> None:
    # Everybody is too sure: the error is the mean confidence less the accuracy.
    rng = np.random.default_rng(0)
    codes = rng.integers(200, 256, 10_000).astype(np.uint8)
    is_right = rng.random(10_000) < 0.6
    found = calibration_error(codes, is_right)
    mean = float((codes / CODES).mean())
    low, high = wilson_interval(int(is_right.sum()), len(is_right))
    assert found.value == pytest.approx(mean - is_right.mean())
    assert found.corrected == pytest.approx(found.value, abs=2e-3)
    assert found.low == pytest.approx(mean - high, abs=2e-3)
    assert found.high == pytest.approx(mean - low, abs=2e-3)
