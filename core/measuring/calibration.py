"""Calibration: whether a network is right as often as it says.

Naeini, Cooper, Hauskrecht: "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015;
Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", 2017.
"""

from dataclasses import dataclass

import numpy as np

from core.measuring.outcome import CODES
from core.measuring.statistics import CONFIDENCE, wilson_interval

BINS = 15
"""Intervals of equal width from 0 to 1, as Guo et al. have them."""
DRAWS = 400
PARTS = np.linspace(0, 3, 61)
"""Of the differences that are seen, for which draws are made."""


@dataclass(frozen=True)
class Bin:
    """The images whose confidence is within one interval."""

    low: float
    high: float
    seen: int
    correct: int
    confidence: float  # the mean

    @property
    def accuracy(self) -> float:
        return self.correct / self.seen

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.correct, self.seen)


def reliability(codes: np.ndarray, is_right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Return the intervals that hold images, ascending.

    `codes` uint8 (images,) as in `Evaluation`, `is_right` bool (images,).
    """
    confidence = codes / CODES
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    seen, correct, total = (
        np.bincount(place, weights, minlength=bins) for weights in (None, is_right, confidence)
    )
    return [
        Bin(
            number / bins,
            (number + 1) / bins,
            int(seen[number]),
            int(correct[number]),
            float(total[number] / seen[number]),
        )
        for number in np.flatnonzero(seen)
    ]


@dataclass(frozen=True)
class CalibrationError:
    """The expected difference of accuracy and confidence, 0 to 1."""

    value: float  # as usually computed; the fewer images, the more too large
    corrected: float  # without what is due to few images
    low: float  # the 95% interval of the true error
    high: float


def calibration_error(
    codes: np.ndarray, is_right: np.ndarray, bins: int = BINS, seed: int = 0
) -> CalibrationError:
    """Return the expected calibration error: the mean difference, weighted by images.

    Even of a network that is perfectly calibrated it is above 0, because differences count without
    their signs, and few images differ by chance. So the true error is looked for among networks
    that are off in the same places by a part, or a multiple, of what is seen: DRAWS draws of each
    say which of them show as much as was seen. `corrected` is the one for which that is the
    median, the interval holds those for which it is within the middle 95%.
    """
    return _calibration_error(reliability(codes, is_right, bins), seed)


def _calibration_error(found: list[Bin], seed: int) -> CalibrationError:
    seen, confidence, accuracy = (
        np.array([getattr(each, name) for each in found])
        for name in ("seen", "confidence", "accuracy")
    )
    weights = seen / seen.sum()
    value = float(weights @ np.abs(accuracy - confidence))
    generator = np.random.default_rng(seed)
    tail = (1 - CONFIDENCE) / 2
    true, quantiles = [], []
    for part in PARTS:
        rates = np.clip(confidence + part * (accuracy - confidence), 0, 1)
        drawn = generator.binomial(seen, rates, size=(DRAWS, len(seen))) / seen
        true.append(float(weights @ np.abs(rates - confidence)))
        quantiles.append(np.quantile(np.abs(drawn - confidence) @ weights, (tail, 0.5, 1 - tail)))
    # Between the networks that were drawn, and despite the noise of the draws, they rise.
    low, middle, high = np.maximum.accumulate(np.array(quantiles), 0).T
    return CalibrationError(
        value,
        corrected=float(np.interp(value, middle, true)),
        low=float(np.interp(value, high, true)),
        high=float(np.interp(value, low, true)),
    )
