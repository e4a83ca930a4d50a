"""VGG with batch-norm: torchvision's convolutions, global pooling and one linear layer or three.

Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014. The
usual variant for images of 32x32 pixels has one linear layer; some keep three.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn

from core.errors import InputError
from core.networks.segments import Segment, chain, flatten
from core.networks.signature import Signature
from core.networks.source import Source

if TYPE_CHECKING:
    from torchvision.models import VGG

HEADS = ("linear", "mlp")
CONFIGURATIONS = {"vgg11": "A", "vgg16": "D"}


def vgg11(signature: Signature, head: str = "linear") -> "VGG":
    """Build a VGG-11: normalised images (N, 3, H, W) to logits (N, classes).

    `head` is "linear" or "mlp" (two hidden layers of 512). Raises InputError for another one.
    """
    return _vgg(CONFIGURATIONS["vgg11"], signature.classes, head)


def vgg16(signature: Signature, head: str = "linear") -> "VGG":
    """Build a VGG-16, like `vgg11`."""
    return _vgg(CONFIGURATIONS["vgg16"], signature.classes, head)


def _vgg(configuration: str, classes: int, head: str) -> "VGG":
    from torchvision.models.vgg import VGG, cfgs, make_layers

    if head not in HEADS:
        raise InputError(f"A head is {' or '.join(HEADS)}, not {head!r}.")
    features = make_layers(cfgs[configuration], batch_norm=True)
    network = VGG(nn.Sequential(), num_classes=classes, init_weights=False)
    network.features = features
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Linear(512, classes) if head == "linear" else _hidden_layers(classes)
    return network


def _hidden_layers(classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(512, 512), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(512, 512), nn.ReLU(inplace=True), nn.Dropout()),
        nn.Linear(512, classes),
    )


def source(name: str) -> Callable[..., Source]:
    """Return the function that writes the code of one of these."""

    def write(signature: Signature, head: str = "linear") -> Source:
        classes = signature.classes
        mlp = (
            "network.classifier = nn.Sequential(",
            "    *(nn.Linear(512, 512), nn.ReLU(), nn.Dropout()),",
            "    *(nn.Linear(512, 512), nn.ReLU(), nn.Dropout()),",
            f"    nn.Linear(512, {classes}),",
            ")",
        )
        linear = (f"network.classifier = nn.Linear(512, {classes})",)
        return Source(
            ("from torchvision.models.vgg import VGG, cfgs, make_layers",),
            (
                f'network = VGG(make_layers(cfgs["{CONFIGURATIONS[name]}"], batch_norm=True), '
                "init_weights=False)",
                "network.avgpool = nn.AdaptiveAvgPool2d(1)",
                *(linear if head == "linear" else mlp),
            ),
        )

    return write


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
