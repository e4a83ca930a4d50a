"""Progress events of a training, and its recorded history."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """An optimiser step is done; loss and accuracy are those of its training batch."""

    epoch: int  # 1 to epochs
    epochs: int
    step: int  # of all epochs, 1 to steps
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class EpochEnd:
    """An epoch is done, and saved if the training can be resumed."""

    epoch: int
    epochs: int
    loss: float  # mean over the epoch's training images, as augmented
    accuracy: float  # over the same
    correct: int  # of the validation images
    seen: int
    seconds: float


@dataclass
class History:
    """The recorded course of a training."""

    epochs: list[dict[str, float]] = field(default_factory=list)  # one EpochEnd each
    curve: list[list[float]] = field(default_factory=list)  # [epochs done, loss, rate] each
