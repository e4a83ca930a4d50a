"""How sure an accuracy is, and whether two networks differ on the same images."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest

CONFIDENCE = 0.95
GUESSING_MARGIN = 0.01  # of accuracy: who is surely not this far above chance is no better


@lru_cache(maxsize=65536)
def wilson_interval(correct: int, seen: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy of correct/seen, both ends in 0 to 1.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927. It covers
    the choice of test images, not the training seed. Raises ValueError unless 0 <= correct <= seen
    and seen >= 1.
    """
    interval = binomtest(correct, seen).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class PairedTest:
    """Two networks on the same images: which images flip, and how likely that is by chance."""

    lost: int  # images that the reference gets right and the other wrong
    gained: int  # the reverse
    p_value: float  # exact, two-sided

    @property
    def significant(self) -> bool:
        return self.p_value < 1 - CONFIDENCE


def mcnemar(reference_correct: np.ndarray, other_correct: np.ndarray) -> PairedTest:
    """Exact McNemar test on two boolean arrays of shape (images,), in the same order.

    McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", 1947. Raises ValueError where the shapes differ.
    """
    if reference_correct.shape != other_correct.shape:
        raise ValueError("A paired test needs the same images on both sides.")
    lost = int(np.count_nonzero(reference_correct & ~other_correct))
    gained = int(np.count_nonzero(~reference_correct & other_correct))
    return PairedTest(lost, gained, _p_value(lost, gained))


@lru_cache(maxsize=65536)
def _p_value(lost: int, gained: int) -> float:
    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


@lru_cache(maxsize=65536)
def is_better_than_guessing(correct: int, seen: int, classes: int) -> bool:
    """Whether an accuracy is significantly above 1/classes, by an exact one-sided binomial test."""
    test = binomtest(correct, seen, 1 / classes, alternative="greater")
    return bool(test.pvalue < 1 - CONFIDENCE)


@lru_cache(maxsize=65536)
def is_no_better_than_guessing(correct: int, seen: int, classes: int) -> bool:
    """Whether an accuracy is significantly below 1/classes + GUESSING_MARGIN, by the same test.

    Between the two answers lies "not told apart": too few images to say either.
    """
    test = binomtest(correct, seen, 1 / classes + GUESSING_MARGIN, alternative="less")
    return bool(test.pvalue < 1 - CONFIDENCE)
