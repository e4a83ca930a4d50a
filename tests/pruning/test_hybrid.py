"""Hybrid pruning: the pure methods at its edges, and both counted against the baseline between."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.networks.network import Network
from core.pruning import Pruner, prune
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS
from tests.examples import expensive
from tests.small_networks import (
    followed,
    images,
    random_network,
    random_resnet,
    random_vgg,
    same_state,
)

NETWORK = random_network(image_size=8)
PRUNER = Pruner(NETWORK)
ratios = st.integers(0, 100).map(lambda each: each / 100)
allocations = st.sampled_from(METHODS["fine"].allocations)


@given(ratios, allocations)
@expensive(20)
def test_without_one_half_it_is_the_pure_method(ratio: float, allocation: str) -> None:
    for hybrid, pure in (
        (
            PruningSpec("hybrid", ratio, scope="internal", rest_allocation=allocation),
            PruningSpec("channel", ratio, scope="internal"),
        ),
        (
            PruningSpec("hybrid", 0.0, rest_ratio=ratio, rest_allocation=allocation),
            PruningSpec("fine", ratio, allocation=allocation),
        ),
    ):
        assert hybrid.canonical() == pure.canonical() or pure.is_identity
        ours, theirs = PRUNER.prune(hybrid), PRUNER.prune(pure)
        assert same_state(ours.network.module.state_dict(), theirs.network.module.state_dict())
        assert ours.layers == theirs.layers


def test_a_rest_too_small_for_one_weight_is_the_pure_method_bitwise() -> None:
    spec = PruningSpec("hybrid", 0.5, rest_ratio=1e-9)
    assert spec.canonical().method == "hybrid"
    ours = prune(NETWORK, spec).network.module
    theirs = prune(NETWORK, PruningSpec("channel", 0.5)).network.module
    assert same_state(ours.state_dict(), theirs.state_dict())


@given(ratios, ratios, allocations)
@expensive(30)
def test_it_is_one_method_after_the_other(ratio: float, rest: float, allocation: str) -> None:
    spec = PruningSpec("hybrid", ratio, rest_ratio=rest, rest_allocation=allocation)
    narrower = PRUNER.prune(PruningSpec("channel", ratio)).network
    expected = prune(narrower, PruningSpec("fine", rest, allocation=allocation))
    pruned = PRUNER.prune(spec)
    assert same_state(pruned.network.module.state_dict(), expected.network.module.state_dict())
    weights = sum(layer.weight.numel() for layer in NETWORK.layers.values())
    left = sum(int((each.weight != 0).sum()) for each in pruned.network.layers.values())
    assert pruned.sparsity == pytest.approx(1 - left / weights)


@pytest.mark.parametrize("network", [followed(random_resnet()), followed(random_vgg())])
def test_the_kept_weights_are_those_of_the_pruned_network(network: Network) -> None:
    pruner = Pruner(network)
    spec = PruningSpec("hybrid", 0.4, rest_ratio=0.3, rest_allocation="global")
    pruned = pruner.prune(spec)
    for name, layer in network.layers.items():
        kept = pruner.kept_weights(spec, name)
        assert kept.shape == layer.weight.shape
        values = layer.weight.detach()[kept]
        expected = pruned.network.layers[name].weight.detach().flatten()
        assert torch.equal(values, expected[expected != 0])


def test_one_channel_of_each_stays_though_its_weights_may_become_zero() -> None:
    pruned = PRUNER.prune(PruningSpec("hybrid", 1.0, rest_ratio=0.9, rest_allocation="global"))
    for name, layer in pruned.network.layers.items():
        assert layer.weight.shape[0] == (10 if name == "fc" else 1)
    assert any(layer.channels_left == 0 for layer in pruned.layers)
    assert pruned.network.module(images()).isfinite().all()


def test_pruning_again_with_other_rests_prepares_the_channels_once() -> None:
    first = PRUNER.prune(PruningSpec("hybrid", 0.5, rest_ratio=0.2))
    again = PRUNER.prune(PruningSpec("hybrid", 0.5, rest_ratio=0.4))
    assert first.kept.keys() == again.kept.keys()
    for name in first.kept:
        assert torch.equal(first.kept[name], again.kept[name])


@pytest.mark.parametrize(
    "settings", [{"rest_ratio": 1.5}, {"rest_ratio": "much"}, {"rest_allocation": "isomorphic"}]
)
def test_a_rest_that_cannot_be_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"rest ratio|isomorphic"):
        PruningSpec("hybrid", 0.5, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["fine", "channel", "channel-mask"])
def test_other_methods_have_no_rest(method: str) -> None:
    spec = PruningSpec(method, 0.5)
    assert replace(spec, rest_ratio=0.5, rest_allocation="global").canonical() == spec.canonical()
