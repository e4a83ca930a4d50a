"""Which images train and which validate."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from core.data.dataset import DataSet, subset_indices
from core.errors import InputError


@dataclass(frozen=True)
class Split:
    """Training images and the images that the accuracy after each epoch is measured on."""

    images: Tensor  # uint8 (N, 3, H, W)
    labels: Tensor  # int64 (N,)
    validation_images: Tensor
    validation_labels: Tensor

    @classmethod
    def holding_out(cls, dataset: DataSet, held_out: int) -> "Split":
        """All training images but `held_out` of them, which validate; stratified, seed 0.

        With `held_out` 0 everything trains, and up to 2,000 test images draw the curve.
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
                "leave at least half of them to train on."
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
        """The SHA-256 of what is trained on."""
        digest = hashlib.sha256(self.images.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().numpy().data)
        return digest.hexdigest()
