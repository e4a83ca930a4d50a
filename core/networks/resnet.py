"""Residual networks for small images: torchvision's ResNets with a 3x3 stem, no max-pooling.

He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015, in the usual variant
for CIFAR.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from core.networks.segments import Segment

if TYPE_CHECKING:
    from torchvision.models.resnet import ResNet

STEM = ("conv1", "bn1", "relu", "maxpool")
HEAD = ("avgpool", "fc")


def resnet18(classes: int) -> "ResNet":
    """Build a ResNet-18: normalised images (N, 3, H, W) to logits (N, classes)."""
    from torchvision.models.resnet import BasicBlock, ResNet

    return _with_small_stem(ResNet(BasicBlock, [2, 2, 2, 2], num_classes=classes))


def _with_small_stem(network: "ResNet") -> "ResNet":
    network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


def segments(network: nn.Module) -> tuple[Segment, ...]:
    """Return the consecutive parts of a ResNet: the stem, each block, the head."""
    blocks = [
        Segment((f"layer{stage}.{number}",), block)
        for stage in (1, 2, 3, 4)
        for number, block in network.get_submodule(f"layer{stage}").named_children()
    ]

    def stem(x: Tensor) -> Tensor:
        for name in STEM:
            x = network.get_submodule(name)(x)
        return x

    def head(x: Tensor) -> Tensor:
        pooled: Tensor = network.get_submodule("avgpool")(x)
        logits: Tensor = network.get_submodule("fc")(pooled.flatten(1))
        return logits

    return (Segment(STEM, stem), *blocks, Segment(HEAD, head))
