"""The outcome of a measurement: counted predictions, and costs. Plain data, without torch."""

from dataclasses import asdict, dataclass

import numpy as np

from core.measuring.statistics import wilson_interval

CODES = 255
"""Steps in which a confidence is kept, in one byte; 0 stands for one that is not known."""


def confidence_codes(confidences: np.ndarray) -> np.ndarray:
    """Round confidences, 0 to 1, to uint8 codes from 1 to CODES."""
    codes: np.ndarray = np.clip(np.rint(confidences * CODES), 1, CODES).astype(np.uint8)
    return codes


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The outcome after the first `seen` images of a subset of `total` images."""

    total: int
    predictions: np.ndarray  # int64 (seen,), in the order of the subset
    labels: np.ndarray  # int64 (seen,)
    loss_sum: float  # cross-entropy, summed over the images seen
    codes: np.ndarray | None = None  # uint8 (seen,), of the confidence in each prediction

    @property
    def seen(self) -> int:
        return len(self.predictions)

    @property
    def is_right(self) -> np.ndarray:
        """Which images are classified correctly, bool (seen,)."""
        right: np.ndarray = self.predictions == self.labels
        return right

    @property
    def confidences(self) -> np.ndarray | None:
        """The probability that was given to each prediction, (seen,); None if not known."""
        return None if self.codes is None else self.codes / CODES

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
        """Return the correct and the seen images of each class, each int64 (classes,)."""
        return (
            np.bincount(self.labels[self.is_right], minlength=classes),
            np.bincount(self.labels, minlength=classes),
        )

    @property
    def is_complete(self) -> bool:
        return self.seen == self.total


@dataclass(frozen=True)
class Cost:
    parameters: int  # stored parameters, including zeros
    nonzero: int  # non-zero parameters
    macs: int  # multiply-accumulates executed for one image
    macs_nonzero: float  # theoretical: what a kernel that skips every zero weight would execute
    bytes: int  # of the tensors on disk, weights fp16

    def to_json(self) -> dict[str, int | float]:
        return asdict(self)
