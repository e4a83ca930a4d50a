"""Torchvision's families: all that some peer can remove is in a group, and removal is exact."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.resnet import Bottleneck

from core.networks.flow import follow
from core.networks.layers import prunable_layers
from core.pruning import Pruner
from core.pruning.selection import count
from core.specs.pruning import PruningSpec
from tests.networks.removal import EXACT, doubled, ignoring, outputs
from tests.small_networks import same_state, with_structure

IMAGE = (1, 3, 64, 64)
LARGER = (1, 3, 80, 80)  # Inception's stem needs 75


def small_head(network: nn.Module, inputs: int) -> nn.Module:
    """AlexNet or a VGG with a narrow classifier, whose 100 million weights would only take time."""
    network.classifier = nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 10))
    return network


def wide_resnet() -> nn.Module:
    """Wide ResNet-50 with at most two blocks a stage, in 26 instead of 69 million weights."""
    network: nn.Module = models.ResNet(Bottleneck, [2, 2, 2, 1], width_per_group=128)
    return network


def vision_transformer() -> nn.Module:
    """ViT-B/16 a quarter as wide, in 6 instead of 86 million weights."""
    network: nn.Module = models.VisionTransformer(64, 16, 12, 3, hidden_dim=192, mlp_dim=768)
    return network


# By family: the network, and the convolutions that stay whatever the ratio is.
FAMILIES: dict[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "alexnet": (lambda: small_head(models.alexnet(), 256 * 36), set()),
    "vgg": (lambda: small_head(models.vgg11(), 512 * 49), set()),
    "vgg_bn": (lambda: small_head(models.vgg11_bn(), 512 * 49), set()),
    "resnet18": (models.resnet18, set()),
    "resnet50": (models.resnet50, set()),
    "resnext50": (models.resnext50_32x4d, set()),
    "wide_resnet50": (wide_resnet, set()),
    "densenet": (models.densenet121, set()),
    "googlenet": (lambda: models.googlenet(aux_logits=False, init_weights=False), set()),
    "googlenet with heads": (
        lambda: models.googlenet(aux_logits=True, init_weights=False),
        {"aux1.conv.conv", "aux2.conv.conv"},  # not run in eval mode
    ),
    "inception": (lambda: models.inception_v3(aux_logits=False, init_weights=False), set()),
    "inception with a head": (
        lambda: models.inception_v3(aux_logits=True, init_weights=False),
        {"AuxLogits.conv0.conv", "AuxLogits.conv1.conv"},
    ),
    "mobilenet_v2": (models.mobilenet_v2, set()),
    "mobilenet_v3_small": (models.mobilenet_v3_small, set()),
    "mobilenet_v3_large": (models.mobilenet_v3_large, set()),
    "shufflenet_v2": (
        models.shufflenet_v2_x0_5,
        # Eight shuffles and chunks in a row leave no channels that could go apart.
        {"stage3.0.branch1.2", "stage4.0.branch1.0"}
        | {f"stage3.{block}.branch2.5" for block in range(8)},
    ),
    "squeezenet1_0": (models.squeezenet1_0, {"classifier.1"}),  # the network's output
    "squeezenet1_1": (models.squeezenet1_1, {"classifier.1"}),
    "mnasnet": (models.mnasnet0_5, set()),
    "efficientnet_b0": (models.efficientnet_b0, set()),
    "efficientnet_v2_s": (models.efficientnet_v2_s, set()),
    "regnet_x": (models.regnet_x_400mf, set()),
    "regnet_y": (models.regnet_y_400mf, set()),
}
MLPS: dict[str, tuple[Callable[[], nn.Module], int]] = {  # and how many hidden layers
    "convnext": (models.convnext_tiny, 18),
    "swin": (models.swin_t, 12),
    "vit_b_16": (vision_transformer, 12),
}
EXAMPLES = {
    "inception": LARGER,
    "inception with a head": LARGER,
}
NETWORKS = {name: make for name, (make, _) in (FAMILIES | MLPS).items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_family_is_pruned_exactly(name: str) -> None:
    example = EXAMPLES.get(name, IMAGE)
    module = doubled(NETWORKS[name]())
    structure = follow(module, example)
    layers = prunable_layers(module)
    in_groups = {
        layer for group in structure.groups for layer in (*group.producers, *group.depthwise)
    }
    convolutions = {layer for layer in layers if not isinstance(layers[layer], nn.Linear)}
    if name in FAMILIES:
        assert convolutions - in_groups == FAMILIES[name][1]
    else:
        assert len(in_groups - convolutions) == MLPS[name][1]
    assert set(structure.fixed) >= set(layers) - in_groups
    pruner, whole = Pruner(with_structure(module, structure)), outputs(module, example, number=1)

    for criterion in ("l1", "random"):
        spec = PruningSpec("channel", 0.5, criterion)
        pruned = pruner.prune(spec).network.module
        kept = pruner.kept_channels(spec)
        for group in structure.groups:
            assert len(kept[group.name]) == group.size - min(count(0.5, group.size), group.size - 1)
        expected = outputs(ignoring(module, structure, kept), example, number=1)
        largest = expected.abs().max()
        assert (outputs(pruned, example, number=1) - expected).abs().max() <= EXACT * largest
        assert (whole - expected).abs().max() >= 1e-3 * largest  # so something was at stake

    unchanged = pruner.prune(PruningSpec("channel", 0)).network.module
    assert same_state(unchanged.state_dict(), module.state_dict())
    assert torch.equal(outputs(unchanged, example, number=1), whole)

    sparse = prunable_layers(pruner.prune(PruningSpec("fine", 0.3)).network.module)
    for layer, before in layers.items():
        zeros = int((sparse[layer].weight == 0).sum())
        assert zeros == count(0.3, before.weight.numel())
    masked = prunable_layers(pruner.prune(PruningSpec("channel-mask", 0.3)).network.module)
    for layer in convolutions:
        filters = masked[layer].weight.flatten(1)
        assert int((filters == 0).all(1).sum()) == min(count(0.3, len(filters)), len(filters) - 1)
