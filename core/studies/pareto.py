"""Which networks are worth having: none is smaller, or faster, and at least as accurate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.data.subsets import sorted_subset
from core.results import Result

WITHIN = 0.01
"""How much accuracy a winner may lose against the unpruned network: one point."""
CHOOSING_IMAGES, CHOOSING_SEED = 2000, 0


def frontier(cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return which points are on the Pareto frontier, bool (points,).

    Those than which no other costs at most as much and is at least as accurate, one of them
    strictly. Of equal points all are on it.
    """
    order = np.lexsort((-accuracy, cost))  # of the same cost, the most accurate first
    cost, accuracy = cost[order], accuracy[order]
    first_of_cost = np.searchsorted(cost, cost)
    best_up_to = np.concatenate([[-np.inf], np.maximum.accumulate(accuracy)])
    is_on = np.empty(len(order), dtype=bool)
    is_on[order] = (accuracy > best_up_to[first_of_cost]) & (accuracy == accuracy[first_of_cost])
    return is_on


@dataclass(frozen=True, eq=False)
class Judged:
    """How many images a network gets right: of those that choose, and of the others."""

    choosing: int
    judging: int


@dataclass(frozen=True)
class Judges:
    """A split of the test images: a subset that chooses networks, the others judge them."""

    choosing: np.ndarray  # positions in the test set
    judging: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, size: int = CHOOSING_IMAGES) -> "Judges":
        """Split by class and seed; at most half of the images choose."""
        chosen = sorted_subset(labels, min(size, len(labels) // 2), CHOOSING_SEED)
        return cls(chosen, np.setdiff1d(np.arange(len(labels)), chosen))

    def judge(self, result: Result) -> Judged:
        """Count the images that a result on the whole test set gets right."""
        right = result.predictions == result.labels
        return Judged(int(right[self.choosing].sum()), int(right[self.judging].sum()))


def cheapest_within(
    cost: Sequence[float | None],
    judged: Sequence[Judged],
    baseline: Judged,
    images: int,
    within: float = WITHIN,
) -> int | None:
    """Return the cheapest network that loses at most `within` on the images that choose.

    `images` is their number; costs that are not known are left out. Of equal costs the more
    accurate one. None if there is none.
    """
    enough = baseline.choosing - within * images
    found = [
        (known, -each.choosing, number)
        for number, (known, each) in enumerate(zip(cost, judged, strict=True))
        if known is not None and each.choosing >= enough - 1e-9
    ]
    return min(found)[2] if found else None
