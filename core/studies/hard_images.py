"""Images that are hard for every network: those that most settings get wrong."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from core.results import Result

WORTHY = 0.9
"""Of the best accuracy, what a setting keeps at least: what a network that has collapsed gets wrong
says only which classes it still answers."""


@dataclass(frozen=True, eq=False)
class TimesWrong:
    """How many of the settings get each image of the test set wrong."""

    wrong: np.ndarray  # int64 (images,)
    settings: int
    baselines: int  # that they are of

    def hardest(self, count: int) -> np.ndarray:
        """Return the images that are wrong most often, ties by position."""
        return np.argsort(-self.wrong, kind="stable")[:count]


def count_wrong(results: Iterable[Result]) -> TimesWrong | None:
    """Count over the results that are nearly as good as the best; None if there are none.

    All are on the same images.
    """
    known = list(results)
    best = max((result.evaluation.correct for result in known), default=0)
    counted = [result for result in known if result.evaluation.correct >= WORTHY * best]
    if not counted:
        return None
    misses = np.stack([result.predictions != result.labels for result in counted])
    baselines = {result.key.checkpoint for result in counted}
    return TimesWrong(misses.sum(0), len(counted), len(baselines))
