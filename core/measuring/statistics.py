"""Confidence intervals of accuracies, and tests whether two networks differ."""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
from scipy.special import betainc, ndtri

CONFIDENCE = 0.95
Z = ndtri(0.5 + CONFIDENCE / 2)  # 1.96
GUESSING_MARGIN = 0.01
"""Accuracy above chance up to which a network may be called no better than guessing; see below."""
GUESSING_SHARE = 0.1
"""Largest margin as a fraction of chance, which is far below GUESSING_MARGIN for many classes."""


@lru_cache(maxsize=65536)
def wilson_interval(correct: int, seen: int) -> tuple[float, float]:
    """Return the 95% interval of the accuracy correct/seen, both ends in 0 to 1.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927. The
    interval accounts for the choice of test images, not for the training seed. Raises ValueError
    unless 0 <= correct <= seen and seen >= 1.
    """
    if not (seen >= 1 and 0 <= correct <= seen):
        raise ValueError(f"{correct} of {seen} images is no accuracy.")
    wrong = seen - correct
    centre = (correct + Z**2 / 2) / (seen + Z**2)
    half = Z * sqrt(correct * wrong / seen + Z**2 / 4) / (seen + Z**2)
    return (centre - half if correct else 0.0), (centre + half if wrong else 1.0)


@dataclass(frozen=True)
class PairedTest:
    """A paired test of two networks on the same images: the numbers of flips, and the p-value."""

    lost: int  # images that the reference gets right and the other wrong
    gained: int  # the reverse
    p_value: float  # exact, two-sided

    @property
    def significant(self) -> bool:
        return self.p_value < 1 - CONFIDENCE


def mcnemar(reference_correct: np.ndarray, other_correct: np.ndarray) -> PairedTest:
    """Run the exact McNemar test on two bool arrays (images,), in the same order.

    McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", 1947. Raises ValueError where the shapes differ.
    """
    if reference_correct.shape != other_correct.shape:
        raise ValueError("A paired test needs the same images on both sides.")
    lost = int(np.count_nonzero(reference_correct & ~other_correct))
    gained = int(np.count_nonzero(~reference_correct & other_correct))
    return PairedTest(lost, gained, _p_value(lost, gained))


@lru_cache(maxsize=65536)
def is_better_than_guessing(correct: int, seen: int, classes: int) -> bool:
    """Test whether an accuracy is significantly above 1/classes (exact, one-sided, binomial)."""
    return 1 - _at_most(correct - 1, seen, 1 / classes) < 1 - CONFIDENCE


@lru_cache(maxsize=65536)
def is_no_better_than_guessing(correct: int, seen: int, classes: int) -> bool:
    """Test whether an accuracy is significantly below 1/classes and a small margin, likewise.

    The margin is GUESSING_MARGIN, or GUESSING_SHARE of 1/classes if that is less. If neither test
    is significant, there are too few images to decide.
    """
    margin = min(GUESSING_MARGIN, GUESSING_SHARE / classes)
    return _at_most(correct, seen, 1 / classes + margin) < 1 - CONFIDENCE


@lru_cache(maxsize=65536)
def _p_value(lost: int, gained: int) -> float:
    return min(1.0, 2 * _at_most(min(lost, gained), lost + gained, 0.5))


def _at_most(successes: int, trials: int, chance: float) -> float:
    """Return the binomial CDF; importing scipy.stats for it would take a second."""
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return float(betainc(trials - successes, successes + 1, 1 - chance))
