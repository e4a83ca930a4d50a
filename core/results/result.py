"""One measurement, with all that can be asked of it later."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.data.subsets import sorted_subset
from core.errors import InputError
from core.measuring.outcome import Cost, Evaluation
from core.results.key import Key

CLASS_DTYPES = (np.uint8, np.uint16)


def compact(classes: np.ndarray) -> np.ndarray:
    """Convert class numbers to uint8, or to uint16 where one is above 255.

    Raises InputError for a number below 0 or above 65,535.
    """
    low, high = int(classes.min(initial=0)), int(classes.max(initial=0))
    if low < 0 or high > 65535:
        raise InputError(
            f"Results are kept for classes from 0 to 65,535, not for class {low if low else high}: "
            "number the classes from 0 on."
        )
    return classes.astype(np.uint8 if high < 256 else np.uint16)


@dataclass(frozen=True)
class Origin:
    """Where, when and with what a result was measured."""

    device: str  # "cpu", "cuda" or "mps"
    versions: str  # of the libraries, such as "torch 2.15.0"
    seconds: float  # spent evaluating, without pauses between batches
    date: str  # ISO 8601, UTC
    file: str = ""  # the shipped file that it came with; empty for one measured on this machine


@dataclass(frozen=True, eq=False)
class Result:
    """Counts, predictions and costs of one key."""

    key: Key
    predictions: np.ndarray  # compact classes (subset,), in the order of the test set
    labels: np.ndarray  # likewise
    loss_sum: float  # cross-entropy over the subset; NaN where it is part of a larger one
    cost: Cost
    compressed_bytes: int | None  # of the checkpoint, where it was measured
    origin: Origin

    def __post_init__(self) -> None:
        for array in (self.predictions, self.labels):
            if array.dtype not in CLASS_DTYPES or array.shape != (self.key.subset,):
                raise ValueError(
                    f"A result on {self.key.subset} images needs uint8 or uint16 arrays of that "
                    f"length, not {array.dtype} of shape {array.shape}."
                )

    @cached_property
    def evaluation(self) -> Evaluation:
        return Evaluation(
            total=len(self.labels),
            predictions=self.predictions.astype(np.int64),
            labels=self.labels.astype(np.int64),
            loss_sum=self.loss_sum,
        )

    def evaluate_outside(self, size: int, seed: int, test_labels: np.ndarray) -> Evaluation | None:
        """Evaluate on the images outside of a subset; None where no image is left.

        For a network that was chosen on that subset, and so cannot be judged on it. The loss is NaN
        because it is not known by image.
        """
        mine = sorted_subset(test_labels, self.key.subset, self.key.subset_seed)
        theirs = sorted_subset(test_labels, size, 0 if size == len(test_labels) else seed)
        apart = ~np.isin(mine, theirs)
        if not apart.any():
            return None
        return Evaluation(
            total=int(apart.sum()),
            predictions=self.predictions[apart].astype(np.int64),
            labels=self.labels[apart].astype(np.int64),
            loss_sum=float("nan"),
        )

    def on_subset(self, size: int, seed: int, test_labels: np.ndarray) -> "Result":
        """Restrict the result to a part of its images; `test_labels` is of the whole test set.

        Raises ValueError where the subset has images that the result is not on.
        """
        mine = sorted_subset(test_labels, self.key.subset, self.key.subset_seed)
        seed = 0 if size == len(test_labels) else seed
        wanted = sorted_subset(test_labels, size, seed)
        if not np.isin(wanted, mine).all():
            raise ValueError("These images are no part of those that the result is on.")
        places = np.searchsorted(mine, wanted)
        return replace(
            self,
            key=replace(self.key, subset=size, subset_seed=seed),
            predictions=self.predictions[places],
            labels=self.labels[places],
            loss_sum=float("nan"),
        )


@dataclass(frozen=True)
class CurvePoint:
    """What a curve needs of a result."""

    ratio: float
    correct: int
    seen: int
    parameters: int
    nonzero: int
    macs: int
    precision: str
    file: str  # as in Origin
