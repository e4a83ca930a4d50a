"""Two networks on the same images: which answers flipped, and which classes paid.

Hooker, Courville, Clark, Dauphin, Frome: "What Do Compressed Deep Neural Networks Forget?", 2019:
an accuracy that hardly moves can hide a few classes, and a few images, that pay for all.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from core.measuring.statistics import CONFIDENCE, PairedTest, mcnemar, wilson_interval

LOST, GAINED, STILL_RIGHT, STILL_WRONG = "lost", "gained", "still right", "still wrong"
DIRECTIONS = (LOST, GAINED, STILL_RIGHT, STILL_WRONG)
DRAWS = 2000
"""Permutations of a test; a p-value is no smaller than one in so many."""


@dataclass(frozen=True, eq=False)
class Flips:
    """The answers of two networks to the same images, in the same order. Raises ValueError else."""

    before: np.ndarray  # int64 (images,), predicted classes
    after: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if not self.before.shape == self.after.shape == self.labels.shape:
            raise ValueError("Flips need the same images on both sides.")

    @cached_property
    def was_right(self) -> np.ndarray:
        right: np.ndarray = self.before == self.labels
        return right

    @cached_property
    def is_right(self) -> np.ndarray:
        right: np.ndarray = self.after == self.labels
        return right

    def which(self, direction: str) -> np.ndarray:
        """Return the images of one of DIRECTIONS, bool (images,)."""
        was, now = {
            LOST: (True, False),
            GAINED: (False, True),
            STILL_RIGHT: (True, True),
            STILL_WRONG: (False, False),
        }[direction]
        found: np.ndarray = (self.was_right == was) & (self.is_right == now)
        return found

    @cached_property
    def test(self) -> PairedTest:
        return mcnemar(self.was_right, self.is_right)

    @property
    def agreement(self) -> float:
        """The part of the images that both give the same answer to, right or wrong."""
        return float(np.mean(self.before == self.after))

    def classes(self, number: int) -> list["ClassChange"]:
        """Return what each of so many classes lost and gained, those without images left out."""
        seen, *counts = (
            np.bincount(self.labels[which], minlength=number)
            for which in (
                np.full(len(self.labels), True),
                self.was_right,
                self.is_right,
                self.which(LOST),
                self.which(GAINED),
            )
        )
        return [
            ClassChange(int(label), int(seen[label]), *(int(count[label]) for count in counts))
            for label in np.flatnonzero(seen)
        ]

    def shift(self, number: int) -> np.ndarray:
        """Return the confusions after minus those before, int64 (true class, answer)."""
        before, after = (
            confusion(answers, self.labels, number) for answers in (self.before, self.after)
        )
        moved: np.ndarray = after - before
        return moved


@dataclass(frozen=True)
class ClassChange:
    """The images of one class, before and after."""

    label: int
    seen: int
    right_before: int
    right_after: int
    lost: int
    gained: int

    @property
    def change(self) -> float:
        """The accuracy after minus the one before, -1 to 1."""
        return (self.right_after - self.right_before) / self.seen

    @property
    def intervals(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The Wilson intervals of the accuracy, before and after."""
        return (
            wilson_interval(self.right_before, self.seen),
            wilson_interval(self.right_after, self.seen),
        )


def confusion(predictions: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """Count each answer to the images of each of so many classes, int64 (true class, answer)."""
    pairs = labels.astype(np.int64) * number + predictions
    counted: np.ndarray = np.bincount(pairs, minlength=number**2).reshape(number, number)
    return counted


@dataclass(frozen=True)
class Spread:
    """A test whether a change is spread evenly over the classes."""

    p_value: float
    worse: tuple[int, ...]  # classes that fared significantly worse than all, the worst first
    better: tuple[int, ...]  # significantly better, the best first

    @property
    def is_even(self) -> bool:
        """Whether nothing speaks against it."""
        return self.p_value >= 1 - CONFIDENCE


@lru_cache(maxsize=256)
def spread(changes: tuple[ClassChange, ...], seed: int = 0) -> Spread:
    """Test whether each class lost the same part of its images, apart from chance.

    The images that were lost and gained are dealt out to the classes at random, DRAWS times. Each
    class's change is measured in its own standard error, in the draws as in what happened: a class
    of which many images flip both ways does not stand out for that (Janssen: "Studentized
    permutation tests for non-iid hypotheses", 1997). The p-value is the part of the draws that are
    as uneven, by the squared deviations of the classes from their common mean. A class stands out
    if its own deviation exceeds the largest of any class in all but 5% of the draws, so that one
    false alarm in twenty tests is all there is (Westfall, Young: "Resampling-Based Multiple
    Testing", 1993).
    """
    if len(changes) < 2 or not any(each.lost or each.gained for each in changes):
        return Spread(1.0, (), ())
    seen, lost, gained = (
        np.array([getattr(each, name) for each in changes]) for name in ("seen", "lost", "gained")
    )
    generator = np.random.default_rng(seed)
    losses = _dealt(seen, np.full(DRAWS, lost.sum()), generator)
    gains = _dealt(seen - losses, np.full(DRAWS, gained.sum()), generator)
    unevenness, errors = (each[0] for each in _standardised(lost[None], gained[None], seen))
    unevenness_drawn, errors_drawn = _standardised(losses, gains, seen)
    # The draw that happened is one of those that could; a hair's breadth for rounding.
    as_uneven = np.count_nonzero(unevenness_drawn >= unevenness * (1 - 1e-9))
    bound = np.quantile(np.abs(errors_drawn).max(1), CONFIDENCE)
    order = np.argsort(-errors, kind="stable")
    return Spread(
        float(as_uneven + 1) / (DRAWS + 1),
        tuple(changes[place].label for place in order if errors[place] > bound),
        tuple(changes[place].label for place in order[::-1] if errors[place] < -bound),
    )


def _dealt(room: np.ndarray, number: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Deal `number` (draws,) images out to classes with `room` (classes,) or (draws, classes)."""
    room = np.broadcast_to(room, (len(number), room.shape[-1]))
    found = np.empty(room.shape, dtype=np.int64)
    others, left = room.sum(1), number.copy()
    for place in range(room.shape[1]):
        others = others - room[:, place]
        found[:, place] = generator.hypergeometric(room[:, place], others, left)
        left = left - found[:, place]
    return found


def _standardised(
    lost: np.ndarray, gained: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how uneven (draws, classes) are, and each class's deviation in standard errors.

    The shapes are (draws,) and (draws, classes). One flip more than there were keeps the variance
    of a class without any from being 0.
    """
    net = lost - gained
    means = net / seen
    variances = (lost + gained + 1 - net**2 / seen) / seen**2
    weights = 1 / variances
    common = (weights * means).sum(1, keepdims=True) / weights.sum(1, keepdims=True)
    unevenness = (weights * (means - common) ** 2).sum(1)
    part = seen / seen.sum()
    of_all = (part**2 * variances).sum(1, keepdims=True)
    own = of_all + (1 - 2 * part) * variances
    return unevenness, (means - means @ part[:, None]) / np.sqrt(own)
