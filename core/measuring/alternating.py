"""Compare how long two things take, by timing them alternately. Plain Python, without torch."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np

QUARTILES = (0.25, 0.5, 0.75)

Timer = Callable[[], float]
"""Runs once and returns the seconds that it took."""


@dataclass(frozen=True)
class Round:
    """The progress of a comparison."""

    done: int
    total: int


@dataclass(frozen=True)
class Speedup:
    """How many times as fast a candidate is as its reference, over rounds that timed both."""

    low: float  # first quartile of the rounds
    median: float
    high: float  # third quartile
    seconds: float  # median of the candidate
    reference_seconds: float
    rounds: int

    @classmethod
    def of(cls, seconds: np.ndarray) -> "Speedup":
        """Compare the seconds of rounds, (rounds, 2): those of the candidate and the reference."""
        low, median, high = np.quantile(seconds[:, 1] / seconds[:, 0], QUARTILES)
        of_candidate, of_reference = np.median(seconds, 0)
        return cls(
            float(low),
            float(median),
            float(high),
            float(of_candidate),
            float(of_reference),
            len(seconds),
        )

    @property
    def differs(self) -> bool:
        """Whether the middle half of the rounds says the same: faster, or slower."""
        return self.low > 1 or self.high < 1

    @property
    def time_saved(self) -> float:
        """The part of the reference's time that is saved; negative where more is needed."""
        return 1 - 1 / self.median


def alternate(sides: Sequence[Timer], rounds: int) -> Generator[Round, None, np.ndarray]:
    """Time a candidate and its reference in every round; can be dropped at any event.

    Whoever goes first takes turns (A B, B A, …), so that neither a machine that gets slower nor
    what one leaves in the cache favours a side. Both run once before, untimed. Return the seconds,
    (rounds, 2).
    """
    candidate, reference = sides
    candidate()
    reference()
    seconds = np.empty((rounds, 2))
    for number in range(rounds):
        order = [(0, candidate), (1, reference)]
        for side, timer in order if number % 2 else reversed(order):
            seconds[number, side] = timer()
        yield Round(number + 1, rounds)
    return seconds
