"""Rearranged inputs that make convolutions on a CPU (oneDNN) faster, and correct.

Small feature maps are joined side by side. The bf16 kernels (AMX) vectorise along the width of the
output. If that is 4 pixels, as in the last stage of a ResNet-18, a convolution with its gradients
takes up to five times as long as on one row of 16 images, separated by zeros.

A 1x1 convolution with a stride is replaced by one without stride on the selected pixels. If the
input is in channels_last order and has fewer channels than a vector register (8 on AVX2, 16 on
AVX-512), oneDNN writes past its buffer when it computes the weight gradient of the strided
convolution: the gradient is wrong, or the process hangs or crashes
(https://github.com/uxlfoundation/oneDNN/issues/6035).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from math import gcd

import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.network import Network

NARROW = 4
"""Largest output width, in pixels, for which images are joined side by side."""
IMAGES_IN_A_ROW = 16
"""Images joined in one row; fewer if 16 does not divide the batch size."""


@contextmanager
def arranged(model: nn.Module) -> Iterator[None]:
    """Within the block, rearrange the inputs of the model's convolutions on the CPU.

    The outputs are the same. Convolutions on other devices are not changed.
    """
    convolutions = [
        (module, arrangement)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
        and module.weight.device.type == "cpu"
        and (arrangement := _arrangement(module)) is not None
    ]
    for convolution, arrangement in convolutions:
        convolution.forward = partial(arrangement, convolution)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for convolution, _ in convolutions:
            del convolution.forward


def arranged_for(network: Network, module: nn.Module) -> AbstractContextManager[None]:
    """`arranged` for a network's module or a copy of it, where its forward takes channels_last."""
    return arranged(module) if network.runs_channels_last else nullcontext()


def _arrangement(convolution: nn.Conv2d) -> Callable[[nn.Conv2d, Tensor], Tensor] | None:
    down, across = convolution.stride
    if down != across or convolution.padding_mode != "zeros":
        return None
    match convolution.kernel_size, convolution.padding, convolution.dilation:
        case (3, 3), (1, 1), (1, 1) if across <= 2:
            return side_by_side
        case (1, 1), (0, 0), _ if across > 1:
            return on_strided_pixels
    return None


def on_strided_pixels(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """Apply a strided 1x1 convolution without padding to (N, C, H, W)."""
    down, across = convolution.stride
    picked = images[:, :, ::down, ::across]
    return F.conv2d(picked, convolution.weight, convolution.bias, groups=convolution.groups)


def side_by_side(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """Apply a 3x3 convolution with zero padding 1 to (N, C, H, W), images side by side."""
    stride = convolution.stride[0]
    number, _, _, width = images.shape
    in_a_row = gcd(number, IMAGES_IN_A_ROW)
    if in_a_row == 1 or width % stride or width // stride > NARROW:
        return nn.Conv2d.forward(convolution, images)
    rows = nn.Conv2d.forward(convolution, _rows(images, in_a_row, gap=stride))
    return _images(rows, in_a_row, width // stride)


def _rows(images: Tensor, in_a_row: int, gap: int) -> Tensor:
    """Join images: (N, C, H, W) to (N/in_a_row, C, H, in_a_row*(W+gap)), in channels_last order.

    The gap must be as wide as the stride, so that every image stays on the convolution's grid.
    """
    number, channels, height, width = images.shape
    apart = F.pad(images.permute(0, 2, 3, 1), (0, 0, 0, gap))
    grouped = apart.view(number // in_a_row, in_a_row, height, width + gap, channels)
    return grouped.transpose(1, 2).flatten(2, 3).permute(0, 3, 1, 2)


def _images(rows: Tensor, in_a_row: int, width: int) -> Tensor:
    """Undo `_rows` and drop the outputs computed in the gaps."""
    number, channels, height, _ = rows.shape
    apart = rows.permute(0, 2, 3, 1).reshape(number, height, in_a_row, -1, channels)
    return apart[:, :, :, :width].transpose(1, 2).flatten(0, 1).permute(0, 3, 1, 2)
