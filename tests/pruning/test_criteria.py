"""Criteria against direct formulas."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.network import Network
from core.pruning import Pruner
from core.pruning.criteria import (
    NoScoreError,
    can_score,
    channel_scores,
    filter_scores,
    weight_scores,
)
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import CRITERIA, METHODS
from tests.small_networks import (
    facts_of,
    followed,
    pruner_of,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
)

NETWORKS = pytest.mark.parametrize("make", [random_resnet, random_vgg, random_bottleneck_resnet])


@pytest.fixture(scope="module")
def resnet() -> Network:
    return followed(random_resnet())


def test_fpgm_scores_the_sum_of_the_distances(resnet: Network) -> None:
    scores = filter_scores(facts_of(resnet), "layer1.0.conv1", "fpgm")
    filters = resnet.layers["layer1.0.conv1"].weight.detach().flatten(1).double().numpy()
    expected = [np.linalg.norm(filters - one, axis=1).sum() for one in filters]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_fpgm_removes_the_filter_nearest_to_the_geometric_median() -> None:
    """The median of points on a line is their middle; Weiszfeld's steps find it."""
    points = torch.tensor([[-5.0, 0], [-1, 0], [0.1, 0.1], [1, 0], [6, 0]])
    layer = nn.Conv2d(2, 5, 1)
    layer.weight.data = points.view(5, 2, 1, 1)
    model = nn.Sequential(nn.Conv2d(3, 2, 1), layer, nn.ReLU(), nn.Conv2d(5, 2, 1))
    median = points.mean(0)
    for _ in range(1000):
        weights = 1 / (points - median).norm(dim=1).clamp_min(1e-9)
        median = (points * weights[:, None]).sum(0) / weights.sum()
    nearest = int((points - median).norm(dim=1).argmin())
    spec = PruningSpec("channel", 0.2, "fpgm")
    kept = pruner_of(followed(model)).kept_channels(spec)["1"]
    assert set(range(5)) - set(kept.tolist()) == {nearest}


@NETWORKS
def test_next_layer_norms_are_those_of_the_weights_that_read(make: Callable[[], nn.Module]) -> None:
    network = followed(make())
    facts = facts_of(network)
    seen = 0
    for group in network.groups:
        if not can_score(network, group, "next-l2"):
            continue
        norms = []
        for name, per_channel in group.consumers:
            layer = network.layers[name]
            if getattr(layer, "groups", 1) > 1:
                continue
            seen += 1
            whole = layer.weight.detach().double().numpy()
            parts = np.split(whole, group.size, axis=1)  # inputs of one channel are neighbours
            assert parts[0].shape[1] == per_channel
            norms.append([np.sqrt((part**2).sum()) for part in parts])
        expected = np.mean(norms, axis=0)
        np.testing.assert_allclose(channel_scores(facts, group, "next-l2"), expected, rtol=1e-5)
    assert seen


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.9])
def test_first_k_keeps_the_first(resnet: Network, ratio: float) -> None:
    for kept in Pruner(resnet).kept_channels(PruningSpec("channel", ratio, "first")).values():
        assert kept.tolist() == list(range(len(kept)))


@pytest.mark.parametrize("layer", ["layer2.0.conv1", "layer2.0.downsample.0", "fc"])
def test_wanda_is_the_weight_times_the_norm_of_its_input(resnet: Network, layer: str) -> None:
    facts = facts_of(resnet)
    weight = resnet.layers[layer].weight.detach()
    norms = facts.inputs(layer).energy.sqrt()
    scores = weight_scores(facts, layer, "wanda")
    assert scores.shape == weight.shape
    for row, column in ((0, 0), (3, 5), (7, 1)):
        expected = weight[row, column].abs() * norms[column]
        torch.testing.assert_close(scores[row, column], expected)


@pytest.mark.parametrize("layer", ["layer2.0.conv1", "layer2.0.downsample.0", "fc"])
def test_second_order_of_a_weight_is_the_optimal_brain_surgeons(
    resnet: Network, layer: str
) -> None:
    facts = facts_of(resnet)
    weight = resnet.layers[layer].weight.detach()
    scores = weight_scores(facts, layer, "second-order").flatten(1)
    inverse = facts.inputs(layer).inverse.flatten()
    torch.testing.assert_close(scores, weight.flatten(1).square() / inverse)


def test_weights_of_a_transposed_convolution_meet_their_inputs() -> None:
    transposed = nn.ConvTranspose2d(4, 6, 2)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), transposed, nn.Conv2d(6, 2, 1))
    network = followed(model)
    facts = facts_of(network)
    weight = transposed.weight.detach()  # (inputs, outputs, 2, 2)
    known = facts.inputs("2")
    torch.testing.assert_close(
        weight_scores(facts, "2", "wanda"), weight.abs() * known.energy.sqrt().view(4, 1, 1, 1)
    )
    expected = weight.square() / known.inverse.view(4, 1, 2, 2)
    torch.testing.assert_close(weight_scores(facts, "2", "second-order"), expected)
    norms = weight.square().sum((1, 2, 3)).sqrt()
    torch.testing.assert_close(channel_scores(facts, network.groups[0], "next-l2"), norms)


def test_losses_are_summed_over_the_layers_that_read(resnet: Network) -> None:
    facts = facts_of(resnet)
    stream = next(group for group in resnet.groups if group.name == "conv1")
    expected = sum(facts.inputs(name).loss for name, _ in stream.consumers)
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(channel_scores(facts, stream, "second-order"), expected)
    torch.testing.assert_close(
        channel_scores(facts, stream, "taylor"), facts.known.changes["conv1"]
    )


def test_comparable_scores_are_not_divided_by_their_mean(resnet: Network) -> None:
    pruner = pruner_of(resnet)
    spec = PruningSpec("channel", 0.4, "second-order", "global")
    scores, kept = pruner.channel_scores(spec), pruner.kept_channels(spec)
    gone, stay = [], []
    for name, each in scores.items():
        left = set(kept[name].tolist())
        gone += [score for channel, score in enumerate(each.tolist()) if channel not in left]
        stay += [each[channel].item() for channel in left - {int(each.argmax())}]
    assert max(gone) <= min(stay)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "criterion", [name for name, each in CRITERIA.items() if each.needs_images]
)
def test_what_looks_at_images_says_so_where_there_are_none(
    resnet: Network, method: str, criterion: str
) -> None:
    if criterion not in METHODS[method].criteria:
        return
    with pytest.raises(InputError, match="looks at training images"):
        Pruner(resnet).prune(PruningSpec(method, 0.5, criterion))


def test_what_cannot_be_looked_at_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evidence.reading.MOST_COLUMNS", 16)
    network = followed(random_resnet())  # 8 to 64 channels wide
    pruned = pruner_of(network).prune(PruningSpec("channel", 0.5, "next-l2"))
    unread = [group for group in network.groups if not can_score(network, group, "next-l2")]
    assert 0 < len(unread) < len(network.groups)
    for group in unread:
        assert group.name not in pruned.kept
        with pytest.raises(NoScoreError):
            channel_scores(facts_of(network), group, "next-l2")
        assert any(group.name in note and "can be looked at" in note for note in pruned.notes)
    sparse = pruner_of(network).prune(PruningSpec("fine", 0.5, "wanda"))
    by_name = {layer.name: layer for layer in sparse.layers}
    assert by_name["layer4.1.conv2"].sparsity == 0
    assert by_name["layer1.0.conv1"].sparsity == 0.5
    assert any("layer4.1.conv2" in note for note in sparse.notes)


@NETWORKS
def test_what_can_be_scored_is_scored(make: Callable[[], nn.Module]) -> None:
    network = followed(make())
    facts = facts_of(network)
    for criterion in METHODS["channel"].criteria:
        for group in network.groups:
            try:
                channel_scores(facts, group, criterion)
            except NoScoreError:
                assert not can_score(network, group, criterion)
            else:
                assert can_score(network, group, criterion)
    for criterion in METHODS["fine"].criteria:
        for name in network.layers:
            try:
                weight_scores(facts, name, criterion)
            except NoScoreError:
                assert not can_score(network, name, criterion)
            else:
                assert can_score(network, name, criterion)


def test_criteria_do_not_modify_the_network(resnet: Network) -> None:
    before = copy.deepcopy(resnet.module.state_dict())
    for criterion in METHODS["channel"].criteria:
        pruner_of(resnet).prune(PruningSpec("channel", 0.5, criterion))
    for name, tensor in resnet.module.state_dict().items():
        assert torch.equal(tensor, before[name])
