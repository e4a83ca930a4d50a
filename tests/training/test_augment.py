"""Every augmented image is a window of its padded original, mirrored every other epoch or never."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.normalisation import CIFAR10
from core.training.augment import Augmenter

GREY = CIFAR10.grey
IMAGES = torch.randint(
    0, 256, (60, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
EVERY_ROW = torch.arange(len(IMAGES))


def windows_of(image: Tensor, translate: int) -> dict[bytes, tuple[int, int, bool]]:
    """Every result that is allowed: pixels to (shift down, shift right, mirrored)."""
    border = ((0, 0), (translate, translate), (translate, translate))
    padded = np.pad(image.numpy(), border, mode="reflect")
    _, height, width = image.shape
    windows = {}
    for down, right, mirrored in product(
        range(2 * translate + 1), range(2 * translate + 1), (False, True)
    ):
        window = padded[:, down : down + height, right : right + width]
        windows[(window[:, :, ::-1] if mirrored else window).tobytes()] = (down, right, mirrored)
    return windows


def draw(
    augmenter: Augmenter, translate: int, epoch: int = 0, seed: int = 0, rows: Tensor = EVERY_ROW
) -> list[tuple[int, int, bool]]:
    """Which window each image of a batch is."""
    batch = augmenter.batch(rows, epoch, torch.Generator().manual_seed(seed))
    assert batch.dtype == torch.uint8
    assert batch.shape == (len(rows), *IMAGES.shape[1:])
    return [
        windows_of(IMAGES[row], translate)[image.contiguous().numpy().tobytes()]
        for row, image in zip(rows, batch, strict=True)
    ]


@pytest.mark.parametrize("translate", [1, 2, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_every_image_is_a_window_of_its_padded_original(translate: int, flip: bool) -> None:
    augmenter = Augmenter(IMAGES, translate, flip, seed=0, grey=GREY)
    drawn = [
        window for epoch in range(4) for window in draw(augmenter, translate, epoch, seed=epoch)
    ]
    assert {mirrored for _, _, mirrored in drawn} == ({False, True} if flip else {False})
    shifts = range(2 * translate + 1)
    assert {down for down, _, _ in drawn} == {right for _, right, _ in drawn} == set(shifts)


def test_all_shifts_of_two_pixels_are_drawn_alike() -> None:
    augmenter = Augmenter(IMAGES, 2, flip=False, seed=0, grey=GREY)
    drawn = [window for seed in range(50) for window in draw(augmenter, 2, seed=seed)]
    counts = np.array([drawn.count((*shift, False)) for shift in product(range(5), range(5))])
    assert counts.sum() == 3000
    assert (np.abs(counts - 120) < 5 * 120**0.5).all()  # five standard deviations


def test_an_image_is_mirrored_every_other_epoch() -> None:
    augmenter = Augmenter(IMAGES, 2, flip=True, seed=0, grey=GREY)
    mirrored = np.array(
        [[mirrored for *_, mirrored in draw(augmenter, 2, epoch, seed=epoch)] for epoch in range(4)]
    )
    assert (mirrored[1:] != mirrored[:-1]).all()
    assert 0 < mirrored[0].sum() < len(IMAGES)  # which side comes first is drawn
    again = Augmenter(IMAGES, 2, flip=True, seed=1, grey=GREY)
    assert [flipped for *_, flipped in draw(again, 2)] != mirrored[0].tolist()


def test_rows_come_in_the_order_asked_for() -> None:
    rows = torch.tensor([7, 3, 3, 59])
    draw(
        Augmenter(IMAGES, 2, flip=True, seed=0, grey=GREY), 2, rows=rows
    )  # looks each up by its own image


def test_without_translation_and_flips_nothing_changes() -> None:
    augmenter = Augmenter(IMAGES, 0, flip=False, seed=0, grey=GREY)
    for epoch in range(2):
        assert torch.equal(augmenter.batch(EVERY_ROW, epoch, torch.Generator()), IMAGES)


def test_the_same_seeds_draw_the_same() -> None:
    first, second = (Augmenter(IMAGES, 2, flip=True, seed=5, grey=GREY) for _ in range(2))
    assert draw(first, 2, epoch=3, seed=9) == draw(second, 2, epoch=3, seed=9)
    assert draw(first, 2, epoch=3, seed=9) != draw(first, 2, epoch=3, seed=10)


@pytest.mark.parametrize("side", [1, 4, 9, 30])
def test_cutout_makes_one_square_of_each_image_grey_and_leaves_the_rest(side: int) -> None:
    plain = Augmenter(IMAGES, 0, flip=False, seed=0, grey=GREY)
    cutting = Augmenter(IMAGES, 0, flip=False, seed=0, grey=GREY, cutout=side)
    whole = plain.batch(EVERY_ROW, 0, torch.Generator().manual_seed(3))
    cut = cutting.batch(EVERY_ROW, 0, torch.Generator().manual_seed(3))
    grey = torch.tensor([125, 123, 114], dtype=torch.uint8).view(3, 1, 1)
    places = set()
    for before, after in zip(whole, cut, strict=True):
        changed = (before != after).any(0)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        assert 1 <= len(rows) <= side
        assert 1 <= len(columns) <= side
        square = after[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (square == grey).all()
        places.add((int(rows[0]), int(columns[0])))
    assert len(places) > 1 or side == 30


def test_without_cutout_nothing_is_drawn_for_it() -> None:
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    Augmenter(IMAGES, 2, flip=True, seed=0, grey=GREY).batch(EVERY_ROW, 0, generators[0])
    Augmenter(IMAGES, 2, flip=True, seed=0, grey=GREY, cutout=0).batch(EVERY_ROW, 0, generators[1])
    assert torch.equal(generators[0].get_state(), generators[1].get_state())
