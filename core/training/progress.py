"""What a training tells of itself while it runs, and what is kept of that."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One optimiser step done. Loss and accuracy are those of its training batch."""

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
    """One epoch done, and saved where the training is resumable."""

    epoch: int
    epochs: int
    loss: float  # mean over the epoch's training images, as augmented
    accuracy: float  # over the same
    correct: int  # of the validation images
    seen: int
    seconds: float


@dataclass
class History:
    """The course of a training."""

    epochs: list[dict[str, float]] = field(default_factory=list)  # one EpochEnd each
    curve: list[list[float]] = field(default_factory=list)  # [epochs done, loss, rate] each
