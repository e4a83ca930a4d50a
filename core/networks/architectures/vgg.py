"""VGG with batch-norm: torchvision's convolutions and one linear layer behind them.

Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014. The
three linear layers are for 224x224 pixels; the usual variant for 32x32 has one.
"""

from typing import TYPE_CHECKING

from torch import nn

from core.networks.segments import Segment, chain, flatten
from core.networks.signature import Signature

if TYPE_CHECKING:
    from torchvision.models import VGG


def vgg11(signature: Signature) -> "VGG":
    """Build a VGG-11: normalised images (N, 3, H, W) to logits (N, classes)."""
    return _vgg("A", signature.classes)


def vgg16(signature: Signature) -> "VGG":
    """Build a VGG-16, like `vgg11`."""
    return _vgg("D", signature.classes)


def _vgg(configuration: str, classes: int) -> "VGG":
    from torchvision.models.vgg import VGG, cfgs, make_layers

    features = make_layers(cfgs[configuration], batch_norm=True)
    network = VGG(nn.Sequential(), num_classes=classes, init_weights=False)
    network.features = features
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Linear(512, classes)
    return network


def segments(network: nn.Module) -> tuple[Segment, ...]:
    """Return the consecutive parts of a VGG: one for each convolution, and the head."""
    parts: list[tuple[str, ...]] = []
    for number, layer in network.get_submodule("features").named_children():
        name = f"features.{number}"
        if isinstance(layer, nn.Conv2d):
            parts.append((name,))
        else:  # batch-norm, ReLU and pooling belong to the convolution before them
            parts[-1] += (name,)
    return chain(network, *parts, ("avgpool", flatten, "classifier"))
