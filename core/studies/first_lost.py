"""At which ratio each image is lost: the images that pruning costs first."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class OverRatios:
    """Which images are right at each ratio of one curve, the ratios ascending."""

    ratios: tuple[float, ...]
    right: np.ndarray  # bool (ratios, images)

    @cached_property
    def first_lost(self) -> np.ndarray:
        """The smallest ratio at which each image is wrong, (images,); NaN where there is none."""
        wrong = ~self.right
        ratios = np.asarray(self.ratios)
        found: np.ndarray = np.where(wrong.any(0), ratios[wrong.argmax(0)], np.nan)
        return found

    def lost_at(self, was_right: np.ndarray, labels: np.ndarray) -> list[tuple[int, float, int]]:
        """Count the images that are first lost at each ratio, as (class, ratio, images).

        `was_right` (images,) are those that the unpruned network has right; others are not lost.
        """
        counted = was_right & np.isfinite(self.first_lost)
        pairs = np.stack([labels[counted], np.round(100 * self.first_lost[counted])])
        kinds, counts = np.unique(pairs.astype(np.int64), axis=1, return_counts=True)
        return [
            (int(label), int(hundredths) / 100, int(count))
            for (label, hundredths), count in zip(kinds.T, counts, strict=True)
        ]
