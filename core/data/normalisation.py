"""Normalisation of pixels to network inputs."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """The mean and standard deviation of each colour, for pixels scaled to 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

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
