"""Data sets in memory."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from core.data.normalisation import CIFAR10, Normalisation
from core.data.subsets import draw_subset
from core.errors import InputError

KNOWN_COPIES = {"c31aa59393cde73a": "a copy of CIFAR-10 whose images are JPEG files"}
"""Descriptions, by fingerprint, of modified copies of data sets, to show beside their results."""


class DataMissingError(InputError):
    """The data set is not on this machine; the message says how to get it."""


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The training images of a data set: all that criteria and recoveries may see."""

    images: Tensor  # uint8 (N, 3, H, W)
    labels: Tensor  # int64 (N,)
    fingerprint: str  # of the whole data set
    can_be_mirrored: bool = True  # whether a mirrored image is of the same class

    def draw(self, size: int, seed: int = 0) -> Tensor:
        """Draw images, stratified by class, uint8 (size, 3, H, W), or all if there are fewer."""
        return self.draw_labelled(size, seed)[0]

    def draw_labelled(self, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Draw the same images, and return them with their labels, int64 (size,)."""
        chosen = subset_indices(self.labels, min(size, len(self.labels)), seed)
        return self.images[chosen], self.labels[chosen]


@dataclass(frozen=True, eq=False)
class DataSet:
    """All images of a data set, in memory.

    Images are uint8 of shape (N, 3, H, W) with H = W. Labels are int64 of shape (N,), from 0 to
    classes - 1.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    source: str  # describes where the images were read from
    normalisation: Normalisation = CIFAR10  # used to train baselines on this data set
    notes: tuple[str, ...] = ()  # messages for the user, such as "could not be cached"

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def image_size(self) -> int:
        """Height and width, in pixels."""
        return int(self.test_images.shape[-1])

    @cached_property
    def training(self) -> TrainingImages:
        return TrainingImages(
            self.train_images, self.train_labels, self.fingerprint, self.name != "digits"
        )

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of all images and labels."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]


def subset_indices(labels: Tensor, size: int, seed: int = 0) -> Tensor:
    """Draw a subset as `draw_subset` does; return int64 positions (size,) in the order drawn."""
    return torch.from_numpy(draw_subset(labels.numpy(), size, seed))
