"""One measurement, with all that can be asked of it later."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.data.subsets import sorted_subset
from core.measuring.outcome import Cost, Evaluation
from core.results.key import Key


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
    predictions: np.ndarray  # uint8 (subset,), in the order of the test set
    labels: np.ndarray  # uint8 (subset,), likewise
    loss_sum: float  # cross-entropy over the subset; NaN where it is part of a larger one
    cost: Cost
    compressed_bytes: int | None  # of the checkpoint, where it was measured
    origin: Origin

    def __post_init__(self) -> None:
        for array in (self.predictions, self.labels):
            if array.dtype != np.uint8 or array.shape != (self.key.subset,):
                raise ValueError(
                    f"A result on {self.key.subset} images needs uint8 arrays of that length, "
                    f"not {array.dtype} of shape {array.shape}."
                )

    @cached_property
    def evaluation(self) -> Evaluation:
        return Evaluation(
            total=len(self.labels),
            predictions=self.predictions.astype(np.int64),
            labels=self.labels.astype(np.int64),
            loss_sum=self.loss_sum,
        )

    def apart_from(self, size: int, seed: int, test_labels: np.ndarray) -> Evaluation | None:
        """The evaluation on those of its images that are not in a subset; None where none is left.

        For what was chosen on that subset, and so cannot be judged on it. The loss is not known by
        image, so it is NaN.
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
        """The same network on a part of these images, with `test_labels` of the whole test set.

        Raises ValueError where the subset is no part of them.
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
