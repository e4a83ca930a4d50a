"""One measurement: counts, predictions and costs."""

import json
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.data.subsets import sorted_subset
from core.errors import InputError
from core.measuring.outcome import Cost, Evaluation
from core.results.key import Key
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

CLASS_DTYPES = (np.uint8, np.uint16)


def compact(classes: np.ndarray) -> np.ndarray:
    """Convert class numbers to uint8, or to uint16 if one is above 255.

    Raises InputError for a number below 0 or above 65,535.
    """
    low, high = int(classes.min(initial=0)), int(classes.max(initial=0))
    if low < 0 or high > 65535:
        raise InputError(
            f"Results are stored for classes 0 to 65,535, not for class {low if low else high}: "
            "number the classes from 0."
        )
    return classes.astype(np.uint8 if high < 256 else np.uint16)


@dataclass(frozen=True)
class Origin:
    """Where, when and with what a result was measured."""

    device: str  # "cpu", "cuda" or "mps"
    versions: str  # library versions, such as "torch 2.15.0"
    seconds: float  # evaluation time, without pauses between batches
    date: str  # ISO 8601, UTC
    file: str = ""  # the shipped file it was imported from; "" if measured on this machine
    recovery_seconds: float | None = None  # without collecting evidence; None if not known


@dataclass(frozen=True, eq=False)
class Result:
    """Counts, predictions and costs of one key."""

    key: Key
    predictions: np.ndarray  # compact classes (subset,), in the order of the test set
    labels: np.ndarray  # likewise
    loss_sum: float  # cross-entropy summed over the subset; NaN if cut from a larger subset
    cost: Cost
    compressed_bytes: int | None  # of the checkpoint; None if not measured
    origin: Origin
    codes: np.ndarray | None = None  # uint8 (subset,), as in Evaluation; None if not known

    def __post_init__(self) -> None:
        for array in (self.predictions, self.labels):
            if array.dtype not in CLASS_DTYPES or array.shape != (self.key.subset,):
                raise ValueError(
                    f"A result on {self.key.subset} images needs uint8 or uint16 arrays of that "
                    f"length, not {array.dtype} of shape {array.shape}."
                )
        codes = self.codes
        if codes is not None and (codes.dtype != np.uint8 or codes.shape != self.labels.shape):
            raise ValueError(
                f"Codes of confidences are uint8 of shape {self.labels.shape}, not {codes.dtype} "
                f"of shape {codes.shape}."
            )

    @cached_property
    def evaluation(self) -> Evaluation:
        return Evaluation(
            total=len(self.labels),
            predictions=self.predictions.astype(np.int64),
            labels=self.labels.astype(np.int64),
            loss_sum=self.loss_sum,
            codes=self.codes,
        )

    def evaluate_outside(self, size: int, seed: int, test_labels: np.ndarray) -> Evaluation | None:
        """Evaluate on the images outside a subset; return None if no image is left.

        Use it for a network that was chosen on that subset. The loss is NaN, because it is not
        stored per image.
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
            codes=None if self.codes is None else self.codes[apart],
        )

    def on_subset(self, size: int, seed: int, test_labels: np.ndarray) -> "Result":
        """Restrict the result to a subset of its images; `test_labels` is the whole test set's.

        Raises ValueError if the subset contains images without a prediction.
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
            codes=None if self.codes is None else self.codes[places],
        )


@dataclass(frozen=True)
class CurvePoint:
    """The values of a result that a curve shows."""

    ratio: float
    correct: int
    seen: int
    parameters: int
    nonzero: int
    macs: int
    precision: str
    file: str  # as in Origin


@dataclass(frozen=True)
class Outcome:
    """The counts and costs of a result of any baseline, without its predictions."""

    checkpoint: str
    architecture: str  # as in Key
    settings: str  # canonical JSON of the spec without its ratio, as in Key
    recovery: str  # canonical JSON
    hundredths: int  # the ratio
    precision: str
    correct: int
    parameters: int
    nonzero: int
    macs: int
    macs_nonzero: float
    bytes: int
    compressed_bytes: int | None
    file: str  # as in Origin

    @property
    def point(self) -> Point:
        """The pruning and the recovery after it."""
        settings = json.loads(self.settings)
        settings.pop("evidence", None)
        spec = PruningSpec(ratio=self.hundredths / 100, **settings)
        return Point(spec, Recovery(**json.loads(self.recovery)))
