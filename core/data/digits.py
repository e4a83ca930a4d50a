"""scikit-learn's handwritten digits in CIFAR-10's format: real, small, no download."""

import torch
from torch import Tensor

from core.data.dataset import DataSet

TEST_IMAGES = 500


def read_digits() -> DataSet:
    """Return 1,297 training and 500 test digits, stratified, upscaled from 8x8 grey to 32x32x3."""
    from sklearn.datasets import load_digits  # a local import, because it takes almost a second
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train, test = train_test_split(
        range(len(digits.target)), test_size=TEST_IMAGES, stratify=digits.target, random_state=0
    )
    grey = torch.from_numpy(digits.images).to(torch.float32).unsqueeze(1) / 16  # (N, 1, 8, 8)
    enlarged = torch.nn.functional.interpolate(
        grey, size=(32, 32), mode="bilinear", align_corners=False
    )
    images = (enlarged * 255).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
    labels = torch.from_numpy(digits.target).to(torch.int64)

    def part(rows: list[int]) -> tuple[Tensor, Tensor]:
        return images[rows].contiguous(), labels[rows].contiguous()

    train_images, train_labels = part(train)
    test_images, test_labels = part(test)
    return DataSet(
        name="digits",
        class_names=tuple(str(digit) for digit in range(10)),
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        source="scikit-learn's handwritten digits, upscaled to 32×32×3",
    )
