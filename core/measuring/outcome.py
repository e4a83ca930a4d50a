"""What a measurement gives: counted answers, and costs. Plain data, without torch."""

from dataclasses import asdict, dataclass

import numpy as np

from core.measuring.statistics import wilson_interval


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is known after the first `seen` images of a subset of `total`."""

    total: int
    predictions: np.ndarray  # int64 (seen,), in the order of the subset
    labels: np.ndarray  # int64 (seen,)
    loss_sum: float  # cross-entropy, summed over the images seen

    @property
    def seen(self) -> int:
        return len(self.predictions)

    @property
    def is_right(self) -> np.ndarray:
        """Boolean, (seen,): which images are classified correctly."""
        right: np.ndarray = self.predictions == self.labels
        return right

    @property
    def correct(self) -> int:
        return int(np.count_nonzero(self.is_right))

    @property
    def accuracy(self) -> float:
        return self.correct / self.seen

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.correct, self.seen)

    @property
    def loss(self) -> float:
        return self.loss_sum / self.seen

    def per_class(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Correct and seen images of each class, int64 (classes,) each."""
        return (
            np.bincount(self.labels[self.is_right], minlength=classes),
            np.bincount(self.labels, minlength=classes),
        )

    @property
    def is_complete(self) -> bool:
        return self.seen == self.total


@dataclass(frozen=True)
class Cost:
    parameters: int  # that are there, zero or not
    nonzero: int  # of them
    macs: int  # multiply-accumulates executed for one image
    macs_nonzero: float  # theoretical: what a kernel that skips every zero weight would execute
    bytes: int  # of the tensors on disk, weights fp16

    def to_json(self) -> dict[str, int | float]:
        return asdict(self)
