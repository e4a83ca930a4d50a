"""The split into training and validation images."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from core.data.dataset import DataSet, subset_indices
from core.errors import InputError


@dataclass(frozen=True)
class Split:
    """Training images, and validation images for the accuracy after each epoch."""

    images: Tensor  # uint8 (N, 3, H, W)
    labels: Tensor  # int64 (N,)
    validation_images: Tensor
    validation_labels: Tensor

    @classmethod
    def holding_out(cls, dataset: DataSet, held_out: int) -> "Split":
        """Hold out `held_out` training images for validation, stratified, with seed 0.

        If `held_out` is 0, train on all training images and validate on up to 2,000 test images.
        Raises InputError if more than half would be held out.
        """
        if held_out == 0:
            size = min(2000, len(dataset.test_labels))
            chosen = subset_indices(dataset.test_labels, size)
            return cls(
                dataset.train_images,
                dataset.train_labels,
                dataset.test_images[chosen],
                dataset.test_labels[chosen],
            )
        if held_out > len(dataset.train_labels) // 2:
            raise InputError(
                f"{held_out:,} images cannot be held out of {len(dataset.train_labels):,}: "
                "leave at least half of them for training."
            )
        chosen = subset_indices(dataset.train_labels, held_out)
        kept = torch.ones(len(dataset.train_labels), dtype=torch.bool)
        kept[chosen] = False
        return cls(
            dataset.train_images[kept],
            dataset.train_labels[kept],
            dataset.train_images[chosen],
            dataset.train_labels[chosen],
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of the training images and labels."""
        digest = hashlib.sha256(self.images.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().numpy().data)
        return digest.hexdigest()
