"""What a data set is, how its images are normalised, how subsets of it are drawn."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from core.data.subsets import draw_subset
from core.errors import InputError

MEAN = (0.4914, 0.4822, 0.4465)
"""Mean of the red, green and blue channel of CIFAR-10's training images, of 1."""

STD = (0.2470, 0.2435, 0.2616)
"""Standard deviation of the same, of 1."""

KNOWN_COPIES = {"c31aa59393cde73a": "a copy of CIFAR-10 whose images are JPEG files"}
"""What is known of a data set by its fingerprint, where that is worth saying beside a number."""


class DataMissingError(InputError):
    """The data set is not on this machine; the sentence says how to get it."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """All images of a data set, in memory.

    Images are uint8 of shape (N, 3, 32, 32); labels are int64 of shape (N,), 0 to 9.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    source: str  # where the images were read from, for people
    notes: tuple[str, ...] = ()  # sentences that a person should see, such as "could not be cached"

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of every image and label."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]


def normalise(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Map uint8 images (N, 3, H, W) to the network's input, in channels_last memory order."""
    mean = torch.tensor(MEAN, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(1, 3, 1, 1)
    scaled = images.to(torch.float32, memory_format=torch.channels_last).div_(255)
    return scaled.sub_(mean).div_(std).to(dtype)


def subset_indices(labels: Tensor, size: int, seed: int = 0) -> Tensor:
    """Draw a subset as `draw_subset` does; int64 positions of shape (size,), as they are dealt."""
    return torch.from_numpy(draw_subset(labels.numpy(), size, seed))
