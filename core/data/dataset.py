"""What a data set is, and how subsets of it are drawn."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from core.data.normalisation import CIFAR10, Normalisation
from core.data.subsets import draw_subset
from core.errors import InputError

KNOWN_COPIES = {"c31aa59393cde73a": "a copy of CIFAR-10 whose images are JPEG files"}
"""What is known of a data set by its fingerprint, where that is worth saying beside a number."""


class DataMissingError(InputError):
    """The data set is not on this machine; the sentence says how to get it."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """All images of a data set, in memory.

    Images are uint8 of shape (N, 3, H, W) with H = W; labels are int64 of shape (N,), 0 to below
    the number of classes.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    source: str  # where the images were read from, for people
    normalisation: Normalisation = CIFAR10  # what its own baselines are trained with
    notes: tuple[str, ...] = ()  # sentences that a person should see, such as "could not be cached"

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def image_size(self) -> int:
        """Height and width, in pixels."""
        return int(self.test_images.shape[-1])

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of every image and label."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]


def subset_indices(labels: Tensor, size: int, seed: int = 0) -> Tensor:
    """Draw a subset as `draw_subset` does; int64 positions of shape (size,), as they are dealt."""
    return torch.from_numpy(draw_subset(labels.numpy(), size, seed))
