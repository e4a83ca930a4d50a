"""Residual networks with three narrow stages, which He et al. designed for CIFAR-10.

He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015, section 4.2.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.segments import Segment, chain, children_of, flatten
from core.networks.signature import Signature
from core.networks.source import Source, definitions

STAGES = ("layer1", "layer2", "layer3")
WIDTHS = (16, 32, 64)
SHORTCUTS = ("zeros", "conv")


class ZeroPaddedShortcut(nn.Module):
    """He's option A: every other pixel, and channels of zeros on both sides of the input's.

    The zeros are stored, because pruning removes some of them, not the same number on each side.
    """

    before: Tensor
    after: Tensor

    def __init__(self, channels: int, outputs: int, stride: int):
        super().__init__()
        self.stride = stride
        added = outputs - channels
        self.register_buffer("before", torch.zeros(added // 2))
        self.register_buffer("after", torch.zeros(added - added // 2))

    def reset_parameters(self) -> None:
        """Set the zeros, as after `to_empty`."""
        self.before.zero_()
        self.after.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, before + C + after, H/stride, W/stride)."""
        x = x[:, :, :: self.stride, :: self.stride]
        n, _, height, width = x.shape
        before, after = (
            zeros.to(x.dtype).view(1, -1, 1, 1).expand(n, -1, height, width)
            for zeros in (self.before, self.after)
        )
        return torch.cat([before, x, after], 1)


class SmallResNet(nn.Module):
    """6n + 2 layers: a 3x3 stem, three stages of n blocks, global pooling, a linear layer."""

    def __init__(self, blocks: int, classes: int, shortcut: str):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], blocks, shortcut)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], blocks, shortcut)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], blocks, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(WIDTHS[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def _stage(channels: int, outputs: int, blocks: int, shortcut: str) -> nn.Sequential:
    from torchvision.models.resnet import BasicBlock

    stride = outputs // channels
    first = BasicBlock(channels, outputs, stride, _shortcut(channels, outputs, stride, shortcut))
    return nn.Sequential(first, *(BasicBlock(outputs, outputs) for _ in range(blocks - 1)))


def _shortcut(channels: int, outputs: int, stride: int, kind: str) -> nn.Module | None:
    if stride == 1:
        return None
    if kind == "zeros":
        return ZeroPaddedShortcut(channels, outputs, stride)
    return nn.Sequential(
        nn.Conv2d(channels, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
    )


def small_resnet(depth: int) -> Callable[..., SmallResNet]:
    """Return the function that builds the network with `depth` = 6n + 2 layers."""

    def build(signature: Signature, shortcut: str = "zeros") -> SmallResNet:
        """Build it: normalised images (N, 3, H, W) to logits (N, classes).

        `shortcut` is "zeros" (He's option A) or "conv" (option B, 1x1 convolutions). Raises
        InputError for another one.
        """
        if shortcut not in SHORTCUTS:
            raise InputError(f"A shortcut is {' or '.join(SHORTCUTS)}, not {shortcut!r}.")
        return SmallResNet(_blocks(depth), signature.classes, shortcut)

    return build


def source(depth: int) -> Callable[..., Source]:
    """Return the function that writes the code of the network with `depth` layers."""

    def write(signature: Signature, shortcut: str = "zeros") -> Source:
        return Source(
            ("from torch import Tensor",),
            (f"network = SmallResNet({_blocks(depth)}, {signature.classes}, {shortcut!r})",),
            (
                f"WIDTHS = {WIDTHS}",
                *definitions((ZeroPaddedShortcut, SmallResNet, _stage, _shortcut)),
            ),
        )

    return write


def _blocks(depth: int) -> int:
    """Return the number of blocks in each stage."""
    return (depth - 2) // 6


def segments(network: nn.Module) -> tuple[Segment, ...]:
    """Return the consecutive parts: the stem, each block, the head."""
    stem = ("conv1", "bn1", "relu")
    return chain(network, stem, *children_of(network, *STAGES), ("avgpool", flatten, "fc"))


def with_zeros(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the zeros of shortcuts, which other implementations do not store, from the widths."""
    found = dict(tensors)
    for stage in STAGES[1:]:
        block, own = f"{stage}.0", f"{stage}.0.downsample"
        first, last = (tensors.get(f"{block}.{layer}.weight") for layer in ("conv1", "conv2"))
        if any(name.startswith(f"{own}.") for name in tensors) or first is None or last is None:
            continue
        added = len(last) - first.shape[1]
        if added >= 0:
            found[f"{own}.before"] = torch.zeros(added // 2)
            found[f"{own}.after"] = torch.zeros(added - added // 2)
    return found
