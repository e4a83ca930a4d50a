"""Normalisation, subsets, fingerprints and the digits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision import transforms

from core.data.dataset import DataSet, subset_indices
from core.data.loading import load
from core.data.normalisation import CIFAR10
from core.errors import InputError

BALANCED = torch.arange(10).repeat(30)  # 300 labels, 30 a class


def per_class(labels: Tensor) -> list[int]:
    return torch.bincount(labels, minlength=10).tolist()


def test_normalise_is_what_torchvision_does() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    torchvision = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(CIFAR10.mean, CIFAR10.std)]
    )
    expected = torch.stack([torchvision(Image.fromarray(image)) for image in pixels])
    ours = CIFAR10.apply(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


def test_normalise_leaves_the_images_and_gives_channels_last() -> None:
    images = torch.full((2, 3, 32, 32), 7, dtype=torch.uint8)
    result = CIFAR10.apply(images, torch.bfloat16)
    assert (images == 7).all()
    assert result.dtype == torch.bfloat16
    assert result.is_contiguous(memory_format=torch.channels_last)


@given(size=st.integers(10, 300), seed=st.integers(0, 2**63 - 1))
def test_a_subset_is_distinct_stratified_and_within_range(size: int, seed: int) -> None:
    chosen = subset_indices(BALANCED, size, seed)
    assert len(chosen) == len(set(chosen.tolist())) == size
    counts = per_class(BALANCED[chosen])
    assert max(counts) - min(counts) <= 1


@given(sizes=st.tuples(st.integers(10, 300), st.integers(10, 300)), seed=st.integers(0, 2**32))
def test_subsets_of_a_seed_are_nested(sizes: tuple[int, int], seed: int) -> None:
    small, large = sorted(sizes)
    assert torch.equal(
        subset_indices(BALANCED, large, seed)[:small], subset_indices(BALANCED, small, seed)
    )


@given(end=st.integers(1, 300))
def test_every_prefix_is_stratified(end: int) -> None:
    counts = per_class(BALANCED[subset_indices(BALANCED, 300)[:end]])
    assert max(counts) - min(counts) <= 1


@given(
    sizes=st.lists(st.integers(1, 200), min_size=2, max_size=6).filter(
        lambda all: sum(all) > 9 and max(all) > 1.1 * min(all)
    ),
    part=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_a_subset_of_uneven_classes_has_about_their_proportions(
    sizes: list[int], part: float, seed: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    size = max(10, round(part * len(labels)))
    counts = torch.bincount(labels[subset_indices(labels, size, seed)], minlength=len(sizes))
    shares = torch.tensor(sizes) / len(labels)
    # Each class may be off by one image, and what the others are off by is shared out.
    assert ((counts - size * shares).abs() <= 1 + (len(sizes) - 1) * shares + 1e-6).all()


def test_no_class_is_preferred_where_they_are_uneven() -> None:
    sizes = torch.tensor([700, 200, 40, *[1] * 60])
    labels = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    drawn = torch.cat([labels[subset_indices(labels, 100, seed)] for seed in range(300)])
    counts = torch.bincount(drawn, minlength=len(sizes))
    found = torch.cat([counts[:3], counts[3:].sum(0, keepdim=True)]) / len(drawn)
    assert (found - torch.tensor([0.70, 0.20, 0.04, 0.06])).abs().max() < 0.005


def test_few_images_can_be_drawn_all_or_not_at_all() -> None:
    labels = torch.tensor([0, 0, 1, 2])
    assert sorted(subset_indices(labels, 4, 3).tolist()) == [0, 1, 2, 3]
    with pytest.raises(InputError, match="choose from 4 to 4 images"):
        subset_indices(labels, 3)


def test_the_whole_set_is_a_permutation() -> None:
    assert subset_indices(BALANCED, 300).sort().values.tolist() == list(range(300))


def test_seeds_draw_different_images() -> None:
    drawn = {tuple(subset_indices(BALANCED, 50, seed).sort().values.tolist()) for seed in range(20)}
    assert len(drawn) == 20


@pytest.mark.parametrize("size", [0, 9, 301, -5, 2.5, 20.0, True, "20", None])
def test_an_impossible_size_is_refused_in_a_sentence(size: Any) -> None:
    with pytest.raises(InputError, match=r"^(The|A) subset .+\.$"):
        subset_indices(BALANCED, size)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, True, None])
def test_an_impossible_seed_is_refused_in_a_sentence(seed: Any) -> None:
    with pytest.raises(InputError, match=r"^The subset seed must be a whole number .+\.$"):
        subset_indices(BALANCED, 20, seed)


def test_the_fingerprint_is_of_every_pixel_and_label(digits: DataSet) -> None:
    fingerprints = {digits.fingerprint}
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        changed = getattr(digits, name).clone()
        changed.view(-1)[-1] ^= 1
        fingerprints.add(replace(digits, **{name: changed}).fingerprint)
    assert len(fingerprints) == 5
    assert replace(digits, source="elsewhere").fingerprint == digits.fingerprint
    assert all(len(fingerprint) == 16 for fingerprint in fingerprints)


def test_the_digits_are_scikit_learns_each_once(digits: DataSet) -> None:
    """Upscaled by Pillow instead; each image then stands once, in training or in test."""
    source = load_digits()
    expected = torch.from_numpy(np.stack([enlarged(grey) for grey in source.images]))
    images = torch.cat([digits.train_images, digits.test_images])
    labels = torch.cat([digits.train_labels, digits.test_labels])
    assert (images == images[:, :1]).all()  # grey
    found = images[:, 0].float()
    which = torch.cdist(found.flatten(1), expected.flatten(1)).argmin(1)
    assert sorted(which.tolist()) == list(range(len(expected)))
    assert (found - expected[which]).abs().max() <= 0.501  # rounded to whole levels of 255
    assert labels.tolist() == source.target[which.numpy()].tolist()


def enlarged(grey: np.ndarray) -> np.ndarray:
    levels = Image.fromarray((grey / 16 * 255).astype(np.float32))
    return np.asarray(levels.resize((32, 32), Image.Resampling.BILINEAR))


def test_the_digits_are_split_by_class(digits: DataSet) -> None:
    assert (len(digits.train_labels), len(digits.test_labels)) == (1297, 500)
    assert digits.class_names == tuple("0123456789")
    shares = torch.tensor(per_class(digits.test_labels)) / torch.tensor(
        per_class(torch.cat([digits.train_labels, digits.test_labels]))
    )
    assert (shares - 500 / 1797).abs().max() < 0.01
    for images, labels in (
        (digits.train_images, digits.train_labels),
        (digits.test_images, digits.test_labels),
    ):
        assert images.dtype == torch.uint8
        assert images.shape == (len(labels), 3, 32, 32)
        assert labels.dtype == torch.int64


def test_the_digits_are_the_same_each_time(digits: DataSet) -> None:
    assert load("digits").fingerprint == digits.fingerprint


def test_an_unknown_data_set_is_refused() -> None:
    with pytest.raises(
        InputError,
        match="There is no data set 'mnist': choose cifar10, cifar100, digits or folder:PATH",
    ):
        load("mnist")
