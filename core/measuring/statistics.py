"""How sure an accuracy is, and whether two networks differ on the same images."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest

CONFIDENCE = 0.95
CHANCE = 0.1  # the accuracy of guessing one of ten classes


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
