"""Normalisation of pixels to network inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import InputError

LARGEST = 1e6
"""Largest mean or standard deviation that is accepted."""


@dataclass(frozen=True)
class Normalisation:
    """The mean and standard deviation of each colour, for pixels scaled to 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> "Normalisation":
        """Check and combine both. Raises InputError for numbers that cannot be used."""
        if len(mean) != len(std) or len(mean) not in (1, 3):
            raise InputError("Mean and std need a number for each colour: three, or one for grey.")
        if not all(isinstance(each, float | int) and abs(each) < LARGEST for each in (*mean, *std)):
            raise InputError("Mean and std should be numbers for pixels from 0 to 1.")
        if min(std) <= 0:
            raise InputError("std should be a number above 0 for each colour of mean.")
        return cls(tuple(map(float, mean)), tuple(map(float, std)))

    def apply(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Normalise uint8 images (N, colours, H, W) to `dtype`, in channels_last memory order."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        scaled = images.to(torch.float32, memory_format=torch.channels_last).div_(255)
        return scaled.sub_(mean).div_(std).to(dtype)

    @property
    def grey(self) -> Tensor:
        """The pixel that is normalised to almost 0 in every colour, uint8 (colours,)."""
        return (255 * torch.tensor(self.mean)).round().to(torch.uint8)


CIFAR10 = Normalisation(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
"""Statistics of CIFAR-10's training images."""

CIFAR100 = Normalisation(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762))
"""Statistics of CIFAR-100's training images."""

CIFAR10_IMAGE_SIZE = 32
"""Height and width, in pixels."""

KNOWN: Mapping[str, Normalisation] = {
    "CIFAR-10": CIFAR10,
    "CIFAR-10, std of single images": Normalisation(CIFAR10.mean, (0.2023, 0.1994, 0.2010)),
    "ImageNet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-100": Normalisation((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "-1 to 1": Normalisation((0.5,) * 3, (0.5,) * 3),
    "none, 0 to 1": Normalisation((0.0,) * 3, (1.0,) * 3),
    "none, 0 to 255": Normalisation((0.0,) * 3, (1 / 255,) * 3),
}
"""The customary ones, by name. The second is the mean of the standard deviations within images."""
