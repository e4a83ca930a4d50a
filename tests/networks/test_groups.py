"""Which channels go together, and that what cannot be followed is left alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.groups import trace
from core.networks.layers import prunable_layers
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from tests.small_networks import (
    Widths,
    copy_of_state,
    images,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
    randomise,
    resnet,
    same_state,
    silence,
    wrap,
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
    residual = {group.name: group for group in trace(resnet(WIDTHS)).groups if group.is_residual}
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
    groups = [group for group in trace(resnet(WIDTHS)).groups if not group.is_residual]
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
    assert trace(resnet(WIDTHS)).batch_norm_of == expected


def test_a_flattened_channel_enters_as_several_inputs() -> None:
    groups = {group.name: group for group in trace(random_vgg()).groups}
    assert list(groups) == ["0", "4", "9"]  # the classifier's outputs are the network's
    assert groups["0"].consumers == (("4", 1),)
    assert groups["4"].consumers == (("9", 4),)
    assert groups["9"].consumers == (("11", 1),)


def test_a_depthwise_convolution_belongs_to_the_group_that_enters_it() -> None:
    groups = {group.name: group for group in trace(random_bottleneck_resnet()).groups}
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
    pruner = Pruner(wrap(model))
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


def test_tracing_leaves_the_network_alone() -> None:
    model = random_resnet().train()
    before = copy_of_state(model)
    trace(model)
    assert same_state(model.state_dict(), before)
    assert model.training


class Trunk(nn.Module):
    """A part that can be followed, and behind it one that cannot: `dead_end`, of 8 channels."""

    def __init__(self, dead_end: nn.Module):
        super().__init__()
        self.free = nn.Conv2d(3, 8, 3, padding=1)
        self.held = nn.Conv2d(8, 8, 3, padding=1)
        self.dead_end = dead_end

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.dead_end(F.relu(self.held(F.relu(self.free(x)))))
        return result


class Gate(nn.Module):
    """A product: an operation that the tracing does not know."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Concatenate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x], 1)


class Twice(nn.Module):
    """The same layers in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(self.layer(x))
        return result


class SpatialLinear(nn.Module):
    """A linear layer over positions, each channel for itself; then one over all."""

    def __init__(self, arrange: Callable[[Tensor], Tensor], positions: int, outputs: int):
        super().__init__()
        self.arrange = arrange
        self.positions = nn.Linear(positions, 16)
        self.all = nn.Linear(outputs, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.all(self.positions(self.arrange(x)).flatten(1))
        return result


class AddConstant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1.0


class Broadcast(nn.Module):
    """Adds one channel to all."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.one(x)
        return result


class SideOutput(nn.Module):
    """Adds what is also needed elsewhere, by an operation that is not known."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Conv2d(8, 8, 1)
        self.head = nn.Sequential(*classifier())

    def forward(self, x: Tensor) -> Tensor:
        other = self.other(x)
        mean = other.mean()
        result: Tensor = self.head(x + other) + mean
        return result


def classifier(channels: int = 8) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(channels * 8 * 8, 2)]


DEAD_ENDS: dict[str, nn.Module] = {
    "the network's output": nn.Identity(),
    "an unknown function": nn.Sequential(Gate(), *classifier()),
    "an unknown layer": nn.Sequential(nn.PReLU(8), *classifier()),
    "a group-norm": nn.Sequential(nn.GroupNorm(2, 8), *classifier()),
    "a concatenation": nn.Sequential(Concatenate(), *classifier(16)),
    "a grouped convolution": nn.Sequential(nn.Conv2d(8, 8, 1, groups=2), *classifier()),
    "a convolution of two filters a channel": nn.Sequential(
        nn.Conv2d(8, 16, 1, groups=8), *classifier(16)
    ),
    "a transposed convolution": nn.Sequential(nn.ConvTranspose2d(8, 8, 1), *classifier()),
    "shared layers": nn.Sequential(Twice(), *classifier()),
    "a batch-norm of positions": nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(8 * 64), nn.Linear(8 * 64, 2)
    ),
    "a linear layer over columns": SpatialLinear(lambda x: x, 8, 8 * 8 * 16),
    "flattened positions": SpatialLinear(lambda x: x.flatten(2), 64, 8 * 16),
    "a reshaped map": SpatialLinear(lambda x: x.flatten(1).view(-1, 8, 64), 64, 8 * 16),
    "a flattened batch": nn.Sequential(nn.Flatten(0, 1), nn.Flatten(), nn.Linear(64, 2)),
    "a constant": nn.Sequential(AddConstant(), *classifier()),
    "an addition to what is fixed": SideOutput(),
    "a broadcast": nn.Sequential(Broadcast(), *classifier()),
}


@pytest.mark.parametrize("reason", DEAD_ENDS)
def test_what_cannot_be_followed_is_left_alone(reason: str) -> None:
    model = Trunk(DEAD_ENDS[reason])
    randomise(model, seed=0)
    pruner = Pruner(wrap(model))
    assert [group.name for group in pruner.baseline.structure.groups] == ["free"]
    pruned = pruner.prune(PruningSpec("channel", 0.5)).network.module
    sizes = {name: len(layer.weight) for name, layer in prunable_layers(model).items()}
    left = {name: len(layer.weight) for name, layer in prunable_layers(pruned).items()}
    assert left == sizes | {"free": 4}
    kept = model.free.weight.flatten(1).abs().sum(1).topk(4).indices.sort().values
    silence(model, pruner.baseline.structure, {"free": kept})
    torch.testing.assert_close(pruned(images()), model(images()), rtol=1e-4, atol=1e-5)


def test_tracing_and_evaluating_in_many_threads_leaves_every_network_whole() -> None:
    model = random_resnet()
    expected = trace(model)
    inputs = images()
    with torch.inference_mode():
        logits = model(inputs)
    call = torch.nn.Module.__call__

    def work(number: int) -> bool:
        if number % 2:
            return trace(random_resnet(seed=number)) == expected
        with torch.inference_mode():
            return torch.equal(model(inputs), logits)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(40)))
    assert torch.nn.Module.__call__ is call
