"""Subsets are drawn the same way for ever, since stored results name them by size and seed."""

import hashlib

import numpy as np
import pytest
import torch

from core.data.dataset import subset_indices
from core.data.subsets import draw_subset, sorted_subset

LABELS = np.arange(10_000) * 7919 % 10_007 % 10


@pytest.mark.parametrize(
    ("size", "seed", "digest"),
    [
        (10, 0, "1f4aef352b5abdc8"),
        (500, 3, "191c9dcaa77b2cda"),
        (2000, 0, "5b74ff39417bc1c9"),
        (9999, 2**63 - 1, "ac06243b41a40e76"),
    ],
)
def test_a_draw_is_the_one_of_the_first_release(size: int, seed: int, digest: str) -> None:
    drawn = draw_subset(LABELS, size, seed)
    assert drawn.dtype == np.int64
    assert hashlib.sha256(drawn.astype("<i8").tobytes()).hexdigest()[:16] == digest
    assert np.array_equal(draw_subset(LABELS.astype(np.uint8), size, seed), drawn)
    assert subset_indices(torch.from_numpy(LABELS), size, seed).tolist() == drawn.tolist()


def test_a_sorted_subset_has_the_images_of_the_draw() -> None:
    positions = sorted_subset(LABELS, 500, 3)
    assert positions.tolist() == sorted(draw_subset(LABELS, 500, 3).tolist())


def test_the_whole_data_set_is_every_image_in_order() -> None:
    assert sorted_subset(LABELS, len(LABELS), 5).tolist() == list(range(len(LABELS)))
