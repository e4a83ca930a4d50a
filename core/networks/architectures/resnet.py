"""Residual networks with four stages: torchvision's ResNets with a 3x3 stem.

He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015, in the usual variant
for images of 32x32 pixels.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn

from core.errors import InputError
from core.networks.segments import Segment, chain, children_of, flatten
from core.networks.signature import Signature
from core.networks.source import Source

if TYPE_CHECKING:
    from torchvision.models import ResNet

POOLS = ("none", "max")
STAGES = ("layer1", "layer2", "layer3", "layer4")


def resnet18(signature: Signature, pool: str = "none") -> "ResNet":
    """Build a ResNet-18: normalised images (N, 3, H, W) to logits (N, classes).

    `pool` is what follows the stem: "none" or "max" (3x3, stride 2, as in the network for larger
    images). Raises InputError for another one.
    """
    from torchvision.models import resnet18

    return _with_small_stem(resnet18(num_classes=signature.classes), pool)


def resnet34(signature: Signature, pool: str = "none") -> "ResNet":
    """Build a ResNet-34, like `resnet18`."""
    from torchvision.models import resnet34

    return _with_small_stem(resnet34(num_classes=signature.classes), pool)


def resnet50(signature: Signature, pool: str = "none") -> "ResNet":
    """Build a ResNet-50, like `resnet18`, of bottleneck blocks."""
    from torchvision.models import resnet50

    return _with_small_stem(resnet50(num_classes=signature.classes), pool)


def _with_small_stem(network: "ResNet", pool: str) -> "ResNet":
    if pool not in POOLS:
        raise InputError(f"The pooling is {' or '.join(POOLS)}, not {pool!r}.")
    network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, padding=1, bias=False)
    if pool == "none":
        network.maxpool = nn.Identity()
    return network


def source(builder: str) -> Callable[..., Source]:
    """Return the function that writes the code of one of these, named as torchvision's builder."""

    def write(signature: Signature, pool: str = "none") -> Source:
        lines = [
            f"network = {builder}(num_classes={signature.classes})",
            "network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)",
        ]
        if pool == "none":
            lines.append("network.maxpool = nn.Identity()")
        return Source((f"from torchvision.models import {builder}",), tuple(lines))

    return write


def segments(network: nn.Module) -> tuple[Segment, ...]:
    """Return the consecutive parts of a ResNet: the stem, each block, the head."""
    stem = ("conv1", "bn1", "relu", "maxpool")
    return chain(network, stem, *children_of(network, *STAGES), ("avgpool", flatten, "fc"))
