"""Which channels go together, by name, and why the others stay."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core.networks.flow import follow
from core.networks.layers import prunable_layers
from core.pruning import Pruner, prune
from core.pruning.narrowing import keep_channels
from core.specs.pruning import PruningSpec
from tests.networks.kinds import KINDS
from tests.networks.removal import random_choice
from tests.small_networks import (
    EXAMPLE,
    Widths,
    copy_of_state,
    followed,
    images,
    pruned_by,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
    randomise,
    resnet,
    same_state,
    silence,
    with_structure,
)

WIDTHS = Widths(streams=(3, 4, 5, 6), inner=(7, 8, 9, 10, 11, 12, 13, 14))
STREAMS = {
    "conv1": (
        3,
        {"conv1", "layer1.0.conv2", "layer1.1.conv2"},
        {"bn1", "layer1.0.bn2", "layer1.1.bn2"},
        {"layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer2.0.downsample.0"},
    ),
    "layer2.0.conv2": (
        4,
        {"layer2.0.conv2", "layer2.0.downsample.0", "layer2.1.conv2"},
        {"layer2.0.bn2", "layer2.0.downsample.1", "layer2.1.bn2"},
        {"layer2.1.conv1", "layer3.0.conv1", "layer3.0.downsample.0"},
    ),
    "layer3.0.conv2": (
        5,
        {"layer3.0.conv2", "layer3.0.downsample.0", "layer3.1.conv2"},
        {"layer3.0.bn2", "layer3.0.downsample.1", "layer3.1.bn2"},
        {"layer3.1.conv1", "layer4.0.conv1", "layer4.0.downsample.0"},
    ),
    "layer4.0.conv2": (
        6,
        {"layer4.0.conv2", "layer4.0.downsample.0", "layer4.1.conv2"},
        {"layer4.0.bn2", "layer4.0.downsample.1", "layer4.1.bn2"},
        {"layer4.1.conv1", "fc"},
    ),
}
INNER = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]


def test_resnet18_has_4_residual_groups_with_these_members() -> None:
    residual = {
        group.name: group for group in follow(resnet(WIDTHS), EXAMPLE).groups if group.is_residual
    }
    assert set(residual) == set(STREAMS)
    for name, (size, producers, batch_norms, consumers) in STREAMS.items():
        group = residual[name]
        assert group.size == size
        assert len(group.producers) == len(producers)
        assert set(group.producers) == producers
        assert len(group.batch_norms) == len(batch_norms)
        assert set(group.batch_norms) == batch_norms
        assert len(group.consumers) == len(consumers)
        assert set(group.consumers) == {(consumer, 1) for consumer in consumers}
        assert group.depthwise == ()


def test_resnet18_has_8_internal_groups_with_these_members() -> None:
    groups = [group for group in follow(resnet(WIDTHS), EXAMPLE).groups if not group.is_residual]
    assert [group.producers for group in groups] == [(f"{block}.conv1",) for block in INNER]
    assert [group.batch_norms for group in groups] == [(f"{block}.bn1",) for block in INNER]
    assert [group.consumers for group in groups] == [((f"{block}.conv2", 1),) for block in INNER]
    assert [group.size for group in groups] == list(WIDTHS.inner)
    assert all(group.name == group.producers[0] for group in groups)


def test_every_convolution_of_resnet18_has_its_batch_norm() -> None:
    expected = {"conv1": "bn1"}
    for block in INNER:
        expected |= {f"{block}.conv1": f"{block}.bn1", f"{block}.conv2": f"{block}.bn2"}
    for stage in (2, 3, 4):
        expected[f"layer{stage}.0.downsample.0"] = f"layer{stage}.0.downsample.1"
    assert follow(resnet(WIDTHS), EXAMPLE).batch_norm_of == expected


def test_a_flattened_channel_enters_as_several_inputs() -> None:
    groups = {group.name: group for group in follow(random_vgg(), EXAMPLE).groups}
    assert list(groups) == ["0", "4", "9"]  # the classifier's outputs are the network's
    assert groups["0"].consumers == (("4", 1),)
    assert groups["4"].consumers == (("9", 4),)
    assert groups["9"].consumers == (("11", 1),)


def test_a_depthwise_convolution_belongs_to_the_group_that_enters_it() -> None:
    groups = {group.name: group for group in follow(random_bottleneck_resnet(), EXAMPLE).groups}
    assert list(groups) == ["0", "3.inner.0", "4.inner.0", "4.inner.6", "5.inner.0"]
    inner = groups["4.inner.0"]
    assert inner.producers == ("4.inner.0",)
    assert inner.depthwise == ("4.inner.3",)
    assert inner.batch_norms == ("4.inner.1", "4.inner.4")
    assert inner.consumers == (("4.inner.6", 1),)
    assert [group.is_residual for group in groups.values()] == [True, False, False, True, False]
    assert set(groups["4.inner.6"].producers) == {"4.inner.6", "4.shortcut.0", "5.inner.6"}


class LateAddition(nn.Module):
    """`second` is used on its own before an addition couples it to `first`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 1)
        self.second = nn.Conv2d(3, 6, 1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
        self.third = nn.Conv2d(6, 5, 1)
        self.fourth = nn.Conv2d(6, 5, 1)
        self.classifier = nn.Linear(5 * 8 * 8, 2)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.first(x), self.depthwise(self.second(x))
        third = self.third(second)
        fourth = self.fourth(first + second)
        result: Tensor = self.classifier(torch.flatten(third + fourth, start_dim=1))
        return result


def test_an_addition_couples_what_was_used_before_it_too() -> None:
    model = LateAddition()
    randomise(model, seed=0)
    pruner = Pruner(followed(model))
    groups = {group.name: group for group in pruner.baseline.structure.groups}
    assert list(groups) == ["first", "third"]
    assert groups["first"].producers == ("first", "second")
    assert groups["first"].depthwise == ("depthwise",)
    assert groups["first"].consumers == (("third", 1), ("fourth", 1))
    assert groups["third"].producers == ("third", "fourth")
    pruned = pruner.prune(PruningSpec("channel", 0.5)).network.module
    scores = sum(layer.weight.flatten(1).abs().sum(1) for layer in (model.first, model.second))
    thirds = sum(layer.weight.flatten(1).abs().sum(1) for layer in (model.third, model.fourth))
    assert isinstance(scores, Tensor)
    assert isinstance(thirds, Tensor)
    kept = {"first": scores.topk(3).indices, "third": thirds.topk(3).indices}
    silence(model, pruner.baseline.structure, kept)
    torch.testing.assert_close(pruned(images()), model(images()), rtol=1e-4, atol=1e-5)


def test_following_leaves_the_network_alone() -> None:
    model = random_resnet().train()
    before = copy_of_state(model)
    follow(model, EXAMPLE)
    assert same_state(model.state_dict(), before)
    assert model.training


def test_a_layer_with_several_groups_gives_each_a_name() -> None:
    """Of twelve channels, four meet padding, and each half of the others goes its own way."""
    structure = follow(KINDS["zero-padded shortcut"][0](), EXAMPLE)
    assert [group.name for group in structure.groups] == ["front", "middle.first"]
    (padded,) = [group for group in structure.groups if "middle.second" in group.producers]
    assert padded.positions_in("middle.second.weight", 0).tolist() == [[i + 4] for i in range(8)]
    assert "padding" in structure.fixed["middle.second"]


@pytest.mark.parametrize(
    ("kind", "layer", "operation"),
    [
        ("softmax over channels", "front", "softmax in middle"),
        ("layer-norm", "front", "layer_norm in middle"),
        ("an unknown operation", "front", "_fft_r2c in middle"),
        ("halves of written sizes", "middle.wide", "split_with_sizes in middle"),
        ("a computed weight", "middle.0", "mean in middle.0 reads middle.0.weight"),
        ("an optional argument", "middle.other", "the forward does not run it"),
        ("squeeze-excite", "head.2", "the network's output"),
    ],
)
def test_what_stays_says_why(kind: str, layer: str, operation: str) -> None:
    sentence = follow(KINDS[kind][0](), EXAMPLE).fixed[layer]
    assert sentence.startswith(f"{layer} keeps its output channels: ")
    assert operation in sentence
    assert sentence.endswith(".")


def test_macs_by_position_equal_torchs_flop_counter() -> None:
    """Two operations a MAC; for convolutions of all kinds and linear layers, before and after."""
    for kind in ("U-Net", "grouped transposed convolution", "channel shuffle", "a shared layer"):
        module = KINDS[kind][0]().eval()
        structure = follow(module, EXAMPLE)
        for network in (module, keep_channels(module, structure, random_choice(structure, 0.5))):
            layers = prunable_layers(network)
            macs = sum(structure.positions[name] * layers[name].weight.numel() for name in layers)
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                network(torch.zeros(EXAMPLE))
            assert macs == counter.get_total_flops() / 2


def test_following_pruning_and_evaluating_in_many_threads_leaves_every_network_whole() -> None:
    """Six threads for a few seconds, all with the same network."""
    model = random_resnet()
    expected, inputs = follow(model, EXAMPLE), images()
    spec = PruningSpec("channel", 0.5)
    narrow = prune(with_structure(model, expected), spec).network.module.state_dict()
    with torch.inference_mode():
        logits = model(inputs)
    call = torch.nn.Module.__call__
    end = time.monotonic() + 4

    def work(number: int) -> int:
        turns = 0
        while time.monotonic() < end:
            if number % 3 == 0:
                assert follow(model, EXAMPLE) == expected
            elif number % 3 == 1:
                assert same_state(pruned_by(model, spec).state_dict(), narrow)
            else:
                with torch.inference_mode():
                    assert torch.equal(model(inputs), logits)
            turns += 1
        return turns

    with ThreadPoolExecutor(6) as pool:
        assert all(turns > 0 for turns in pool.map(work, range(6)))
    assert torch.nn.Module.__call__ is call
