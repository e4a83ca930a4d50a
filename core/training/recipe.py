"""Training recipes as data."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.errors import InputError
from core.specs.vocabulary import is_folder

OPTIMISERS = ("muon", "sgd")
SCHEDULES = ("linear", "one-cycle", "constant")
LARGEST_TRANSLATION = 112  # pixels, half of the largest image
LARGEST_CUTOUT = 224  # pixels, the largest image
USUAL_EPOCHS = 5
SMALLEST_BATCH, LARGEST_BATCH = 8, 128  # images
STEPS_PER_EPOCH = 20  # at least, where batches can be that small
FEWEST_STEPS = 300  # of a whole training, where MOST_USUAL_EPOCHS allows that
MOST_USUAL_EPOCHS = 30


@dataclass(frozen=True)
class Recipe:
    """All settings of a training except the seed."""

    epochs: int
    optimiser: str = "muon"  # for convolutions; SGD trains all other parameters
    learning_rate: float = 0.04  # peak value, for parameters trained by `optimiser`
    rest_learning_rate: float = 0.3  # peak value, for parameters trained by SGD besides Muon
    momentum: float = 0.9  # Nesterov
    weight_decay: float = 5e-4  # for parameters trained by SGD, except batch-norm and biases
    batch_size: int = 128  # images
    schedule: str = "linear"
    warm_up: float = 0.1  # fraction of all steps in which the rate rises to its peak
    label_smoothing: float = 0.1
    translate: int = 2  # pixels at most, in each direction
    flip: bool = True  # left-right, every other epoch
    cutout: int = 0  # side, in pixels, of a grey square in each image
    average: int = 0  # number of last epochs whose weights are averaged, after each step
    sharpness_aware: int = 0  # number of last epochs that use sharpness-aware minimisation (SAM)
    sharpness_radius: float = 0.1  # SAM's radius, an L2 norm over all parameters
    mirror_teachers: bool = False  # average teachers over each image and its mirror image

    def __post_init__(self) -> None:
        for name, allowed in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"There is no {name} {getattr(self, name)!r}: choose {' or '.join(allowed)}."
                )
        if type(self.epochs) is not int or not 1 <= self.epochs <= 1000:
            raise InputError(f"The number of epochs must be 1 to 1,000, not {self.epochs!r}.")
        if type(self.batch_size) is not int or self.batch_size < 2:
            raise InputError(f"The batch size must be at least 2, not {self.batch_size!r}.")
        if not 0 <= self.warm_up < 1:
            raise InputError(f"The warm-up must be at least 0 and below 1, not {self.warm_up!r}.")
        if type(self.translate) is not int or not 0 <= self.translate <= LARGEST_TRANSLATION:
            raise InputError(
                f"Images can be translated by 0 to {LARGEST_TRANSLATION} pixels, "
                f"not {self.translate!r}."
            )
        if type(self.cutout) is not int or not 0 <= self.cutout <= LARGEST_CUTOUT:
            raise InputError(
                f"Squares of 0 to {LARGEST_CUTOUT} pixels can be cut out, not {self.cutout!r}."
            )
        for name, meaning in (
            ("average", "averages weights"),
            ("sharpness_aware", "is sharpness-aware"),
        ):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= self.epochs:
                raise InputError(
                    f"A training {meaning} over 0 to all {self.epochs} of its epochs, "
                    f"not {value!r}."
                )
        if not 0 < self.sharpness_radius < math.inf:
            raise InputError(
                "The sharpness-aware radius must be a number above 0, "
                f"not {self.sharpness_radius!r}."
            )
        if type(self.mirror_teachers) is not bool:
            raise InputError(
                f"mirror_teachers must be true or false, not {self.mirror_teachers!r}."
            )
        if not 0 < self.learning_rate < math.inf:
            raise InputError(
                f"The learning rate must be a number above 0, not {self.learning_rate!r}."
            )

    def at_rate(self, learning_rate: float) -> "Recipe":
        """Return this recipe with another peak rate; scale `rest_learning_rate` accordingly."""
        share = self.rest_learning_rate / self.learning_rate
        return replace(self, learning_rate=learning_rate, rest_learning_rate=learning_rate * share)

    def rate_factor(self, progress: float) -> float:
        """Return the fraction (0 to 1) of the peak learning rate at `progress` (0 to 1)."""
        rising = progress < self.warm_up
        if self.schedule == "linear":
            if rising:
                return progress / self.warm_up
            return (1 - progress) / (1 - self.warm_up)
        if self.schedule == "constant":
            return progress / self.warm_up if rising else 1.0
        # One-cycle: Smith and Topin, "Super-Convergence", 2018; cosine both ways.
        if rising:
            return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / self.warm_up)) / 2
        return (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any]) -> "Recipe":
        """Undo `to_json`; use the defaults for settings that an older version did not record.

        Raises InputError for unknown settings.
        """
        try:
            return cls(**recorded)
        except TypeError as error:
            raise InputError(
                f"The recorded recipe cannot be read ({error}): another version wrote it."
            ) from error


def default_recipe(
    dataset: str,
    epochs: int | None = None,
    optimiser: str = "muon",
    images: int = 50_000,
    image_size: int = 32,
) -> Recipe:
    """Return the recipe for a data set, with 5 epochs by default.

    For a folder of own images it depends on the number of its training images and on their size:
    few images are trained on in small batches, for more epochs.
    """
    if optimiser not in OPTIMISERS:
        raise InputError(f"There is no optimiser {optimiser!r}: choose {' or '.join(OPTIMISERS)}.")
    settings: dict[str, Any] = {"epochs": USUAL_EPOCHS}
    if optimiser == "sgd":
        settings |= {
            "optimiser": "sgd",
            "learning_rate": 0.12,
            "batch_size": 128,
            "schedule": "one-cycle",
            "warm_up": 0.3,
            "label_smoothing": 0.05,
        }
    if dataset == "digits":  # only 1,297 images, and a mirrored digit is no longer that digit
        settings |= {"batch_size": 64, "rest_learning_rate": 0.1, "flip": False}
    if is_folder(dataset):
        settings |= _for_own_images(images, image_size)
    if epochs is not None:
        settings["epochs"] = epochs
    return Recipe(**settings)


def batch_size_for(images: int, steps: int, smallest: int) -> int:
    """Return the largest usual batch that leaves so many steps, or the smallest."""
    batch_size = LARGEST_BATCH
    while batch_size > smallest and images < steps * batch_size:
        batch_size //= 2
    return batch_size


def _for_own_images(images: int, image_size: int) -> dict[str, Any]:
    """Return what depends on the number of training images and their size, in pixels."""
    batch_size = batch_size_for(images, STEPS_PER_EPOCH, SMALLEST_BATCH)
    steps = max(1, images // batch_size)
    return {
        "epochs": max(USUAL_EPOCHS, min(MOST_USUAL_EPOCHS, FEWEST_STEPS // steps)),
        "batch_size": batch_size,
        "rest_learning_rate": 0.3 if batch_size == LARGEST_BATCH else 0.1,
        "translate": image_size // 16,
    }
