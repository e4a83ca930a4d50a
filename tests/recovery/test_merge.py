"""Merging: exact where a channel is a multiple of another, harmless where none is similar."""

import copy

import pytest
import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.layers import filters, prunable_layers
from core.networks.network import Network
from core.pruning import prune
from core.recovery.merge import directions, merged
from core.specs.pruning import PruningSpec
from core.specs.recovery import MERGED, Recovery
from tests.networks.kinds import KINDS
from tests.networks.removal import doubled
from tests.small_networks import copy_of_state, new_network, same_state, wrap

HALF = PruningSpec("channel", 0.5, "first")  # the first half of each group stays


def in_double(network: Network) -> Network:
    return network.with_module(copy.deepcopy(network.module).double())


def with_multiples(network: Network, factor: float) -> Network:
    """Make the second half of each group's channels multiples of the first half."""
    network = in_double(network)
    tensors = dict(network.module.named_parameters()) | dict(network.module.named_buffers())
    with torch.no_grad():
        for group in network.groups:
            half = group.size // 2
            for name in group.producers:
                weight = tensors[f"{name}.weight"]
                weight[half : 2 * half] = weight[:half]
            for name in group.batch_norms:
                for vector, scale in (
                    ("weight", factor),
                    ("bias", factor),
                    ("running_mean", 1.0),
                    ("running_var", 1.0),
                ):
                    found = tensors[f"{name}.{vector}"]
                    found[half : 2 * half] = scale * found[:half]
    return network


def answers(network: Network) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=generator)
    with torch.inference_mode():
        found: Tensor = network.module(x)
    return found


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_multiples_of_what_stays_lose_nothing(factor: float) -> None:
    network = with_multiples(new_network(), factor)
    pruned = prune(network, HALF)
    expected = answers(network)
    assert (answers(pruned.network) - expected).abs().max() > 0.1 * expected.abs().max()
    error = (answers(merged(network, pruned)) - expected).abs().max()
    assert error < 1e-12 * expected.abs().max()


def test_each_lost_channel_goes_to_the_most_similar_one() -> None:
    """Against a plain loop over the channels of one group that one layer reads."""
    network = in_double(new_network())
    pruned = prune(network, PruningSpec("channel", 0.5, scope="internal"))
    found = merged(network, pruned)
    group = next(each for each in network.groups if each.name == "layer1.0.conv1")
    rows, kept = directions(network, group), pruned.kept[group.name].tolist()
    bn = network.module.get_submodule("layer1.0.bn1")
    assert isinstance(bn, nn.BatchNorm2d)
    assert bn.running_var is not None
    gain = bn.weight / (bn.running_var + bn.eps).sqrt()
    torch.testing.assert_close(
        rows, filters(network.layers["layer1.0.conv1"]) * gain.detach()[:, None]
    )
    old = network.layers["layer1.0.conv2"].weight.detach()
    expected = old[:, kept].clone()
    for lost in set(range(group.size)) - set(kept):
        cosines = [
            float(rows[lost] @ rows[stays] / (rows[lost].norm() * rows[stays].norm()))
            for stays in kept
        ]
        best = max(range(len(kept)), key=cosines.__getitem__)
        scale = max(0.0, float(rows[lost] @ rows[kept[best]] / rows[kept[best]].square().sum()))
        expected[:, best] += scale * old[:, lost]
    torch.testing.assert_close(found.layers["layer1.0.conv2"].weight, expected)


@pytest.mark.parametrize(
    "spec", [PruningSpec("channel", 0.5), PruningSpec("hybrid", 0.4, rest_ratio=0.5)]
)
def test_zeros_and_both_networks_stay(spec: PruningSpec) -> None:
    network = new_network()
    pruned = prune(network, spec)
    before = copy_of_state(network.module), copy_of_state(pruned.network.module)
    found = merged(network, pruned)
    assert same_state(network.module.state_dict(), before[0])
    assert same_state(pruned.network.module.state_dict(), before[1])
    changed = 0
    for name, layer in prunable_layers(pruned.network.module).items():
        after = found.layers[name].weight
        assert not after[layer.weight == 0].any()
        changed += not torch.equal(after, layer.weight)
    assert changed > 5


def test_nothing_is_merged_where_nothing_went() -> None:
    network = new_network()
    pruned = prune(network, PruningSpec("channel", 0.0))
    assert same_state(merged(network, pruned).module.state_dict(), network.module.state_dict())


@pytest.mark.parametrize("method", ["fine", "channel-mask"])
def test_single_weights_and_masked_filters_cannot_be_merged(method: str) -> None:
    network = new_network()
    with pytest.raises(InputError, match="channels that were removed"):
        merged(network, prune(network, PruningSpec(method, 0.5)))


def test_it_needs_no_images() -> None:
    assert not MERGED.needs_images
    assert Recovery("merge", 500, 3) == MERGED
    assert MERGED.to_json() == {"method": "merge"}
    assert Recovery.named("bn").needs_images


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_network_can_be_merged(name: str) -> None:
    network = wrap(doubled(KINDS[name][0]()))
    pruned = prune(network, HALF)
    found = merged(network, pruned)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert found.module(x).isfinite().all()
    shapes = {name: each.shape for name, each in pruned.network.tensors().items()}
    assert {name: each.shape for name, each in found.tensors().items()} == shapes
