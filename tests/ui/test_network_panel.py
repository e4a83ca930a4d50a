"""What the page Baseline says of a network, against the network itself."""

from functools import lru_cache

import pytest
from torch import nn

from core.data.normalisation import CIFAR10, Normalisation
from core.measuring.cost import cost
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.signature import Signature
from core.specs.architecture import Architecture
from core.ui.baseline.network import describe_network, group_frame, kind_of, layer_frame


@lru_cache
def network(name: str, width: int | None, classes: int = 10, shortcut: str = "") -> Network:
    settings = (("shortcut", shortcut),) if shortcut else ()
    normalisation = CIFAR10 if classes == 10 else Normalisation((0.25,) * 3, (0.125,) * 3)
    signature = Signature(Architecture(name, settings), classes, 32, normalisation)
    return Plan(signature, width).build(0)


def test_the_facts_are_those_of_the_network() -> None:
    assert describe_network(network("resnet18", 64)) == {
        "Architecture": "ResNet-18 (resnet18)",
        "Settings": "none",
        "Input": "32 × 32 pixels, 3 colours",
        "Normalisation": "mean 0.4914, 0.4822, 0.4465; standard deviation 0.247, 0.2435, 0.2616",
        "Classes": "10",
        "Parameters": "11,173,962",
        "MACs for one image": "555,422,720",
        "Layers that can be pruned": "21 convolutions and linear layers",
        "Groups of channels": "12, 4 of them coupled",
    }
    facts = describe_network(network("resnet20", 4, 100, "conv"))
    assert facts["Settings"] == "shortcut conv"
    assert facts["Classes"] == "100"
    assert facts["Normalisation"].startswith("mean 0.25, 0.25, 0.25;")
    facts = describe_network(network("mobilenet_v2", 8))
    assert facts["Layers that can be pruned"].endswith("17 of them depthwise")
    assert describe_network(network("vgg16", 4))["Groups of channels"].startswith("13, none of")


@pytest.mark.parametrize(("name", "width"), [("resnet56", 4), ("mobilenet_v2", 8)])
def test_the_bars_are_the_networks_layers(name: str, width: int) -> None:
    model = network(name, width)
    frame = layer_frame(model)
    assert list(frame["layer"]) == list(model.layers)
    assert frame["row"].is_unique
    assert frame["macs"].sum() == cost(model).macs
    others = sum(
        parameter.numel()
        for module in model.module.modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters()
    )
    assert frame["parameters"].sum() + others == cost(model).parameters


def test_very_many_layers_are_drawn_as_blocks() -> None:
    model = network("torchvision:densenet121", None)
    frame = layer_frame(model)
    assert len(frame) < 30 < 100 < len(model.layers)
    assert frame["macs"].sum() == cost(model).macs


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(3, 8, 3), "3×3 convolution, 3 to 8 channels"),
        (nn.Conv2d(8, 8, 3, groups=8), "depthwise 3×3 convolution, 8 to 8 channels"),
        (nn.Conv2d(8, 16, 1, groups=2), "1×1 convolution in 2 groups, 8 to 16 channels"),
        (nn.ConvTranspose2d(8, 4, 2), "2×2 transposed convolution, 8 to 4 channels"),
        (nn.Conv1d(8, 4, 5), "5 convolution, 8 to 4 channels"),
        (nn.Linear(1024, 10), "linear, 1,024 to 10"),
    ],
    ids=str,
)
def test_a_layer_is_called_what_it_is(layer: nn.Conv2d, kind: str) -> None:
    assert kind_of(layer) == kind


def test_the_groups_are_the_networks_groups() -> None:
    model = network("mobilenet_v2", 8)
    groups = group_frame(model).set_index("Group")
    assert list(groups.index) == [group.name for group in model.groups]
    assert list(groups["Channels"]) == [group.size for group in model.groups]
    assert groups["Layers"]["features.3.conv.0.0"] == "features.3.conv.0.0, features.3.conv.1.0"
    assert groups["Layers"]["features.2.conv.2"] == "features.2.conv.2, features.3.conv.2"
    assert dict(groups["Residual or the like"] != "") == {
        group.name: group.is_residual for group in model.groups
    }
