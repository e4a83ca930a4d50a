"""Convolutions of images that are small by then, computed in rows of several images.

A processor's bf16 kernels (oneDNN, AMX) go along the width of the output. Where that is 4 pixels,
as in the last stage of a ResNet-18, a convolution takes up to five times as long, gradients
included, as the same work in one row of 16 images with a gap of zeros after each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import gcd

import torch.nn.functional as F
from torch import Tensor, nn

NARROW = 4
"""Pixels; an output that is no wider is computed side by side."""
IMAGES_IN_A_ROW = 16
"""Or the largest power of two below it that divides the batch."""


@contextmanager
def side_by_side(model: nn.Module) -> Iterator[None]:
    """Within it, a `model` on a processor convolves small images side by side.

    Its outputs are the same. A model elsewhere, on a GPU, is left alone.
    """
    convolutions = [
        module
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
        and module.weight.device.type == "cpu"
        and (module.kernel_size, module.padding, module.dilation) == ((3, 3), (1, 1), (1, 1))
        and module.padding_mode == "zeros"
        and module.stride[0] == module.stride[1] <= 2
    ]
    for convolution in convolutions:
        convolution.forward = partial(convolve, convolution)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for convolution in convolutions:
            del convolution.forward


def convolve(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """What a 3x3 `convolution`, padded by 1 with zeros, makes of (N, C, H, W)."""
    stride = convolution.stride[0]
    number, _, _, width = images.shape
    in_a_row = gcd(number, IMAGES_IN_A_ROW)
    if in_a_row == 1 or width % stride or width // stride > NARROW:
        return nn.Conv2d.forward(convolution, images)
    rows = nn.Conv2d.forward(convolution, _rows(images, in_a_row, gap=stride))
    return _images(rows, in_a_row, width // stride)


def _rows(images: Tensor, in_a_row: int, gap: int) -> Tensor:
    """(N, C, H, W) to (N/in_a_row, C, H, in_a_row*(W+gap)); memory stays channels_last.

    A gap as wide as the stride keeps every image on the convolution's grid.
    """
    number, channels, height, width = images.shape
    apart = F.pad(images.permute(0, 2, 3, 1), (0, 0, 0, gap))
    grouped = apart.view(number // in_a_row, in_a_row, height, width + gap, channels)
    return grouped.transpose(1, 2).flatten(2, 3).permute(0, 3, 1, 2)


def _images(rows: Tensor, in_a_row: int, width: int) -> Tensor:
    """The reverse of `_rows`, leaving out what was computed in the gaps."""
    number, channels, height, _ = rows.shape
    apart = rows.permute(0, 2, 3, 1).reshape(number, height, in_a_row, -1, channels)
    return apart[:, :, :, :width].transpose(1, 2).flatten(0, 1).permute(0, 3, 1, 2)
