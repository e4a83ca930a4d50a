"""What pruning zeroed stays zero during training, after every step of every optimiser."""

from typing import Any

import pytest
import torch
from torch import Tensor

from core.networks.network import Network
from core.pruning import prune
from core.specs.pruning import PruningSpec
from core.training import EpochEnd, History, Recipe, Split, train
from tests.small_networks import new_network

RECIPES = {
    "SGD with momentum and weight decay": {"optimiser": "sgd", "weight_decay": 0.1},
    "Muon": {"optimiser": "muon"},
    "averaged": {"optimiser": "sgd", "average": 2},
    "sharpness-aware": {"optimiser": "sgd", "sharpness_aware": 2, "sharpness_radius": 1.0},
    "Muon, averaged and sharpness-aware": {"average": 1, "sharpness_aware": 2},
}
SEED = 1


def sparse(method: str = "fine", ratio: float = 0.7) -> Network:
    return prune(new_network(), PruningSpec(method, ratio, allocation="global")).network


def zeros(network: Network) -> dict[str, Tensor]:
    return {name: layer.weight.detach() == 0 for name, layer in network.layers.items()}


def recipe_of(**settings: Any) -> Recipe:
    return Recipe(epochs=2, batch_size=64, flip=False, **settings)


@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES)
def test_zeros_are_the_same_ones_at_every_pass(settings: dict[str, Any], split: Split) -> None:
    network = sparse()
    expected, passes = zeros(network), []

    def check(*_: Any) -> None:
        now = zeros(network)
        passes.append(all(torch.equal(now[name], each) for name, each in expected.items()))

    handle = network.module.register_forward_pre_hook(check)
    recipe = recipe_of(**settings)
    list(train(network, split, recipe, SEED, History(), hold_zeros=True))
    handle.remove()
    steps = len(split.labels) // recipe.batch_size * recipe.epochs
    assert len(passes) >= steps
    assert all(passes)
    final = zeros(network)
    assert all(torch.equal(final[name], each) for name, each in expected.items())


def test_without_them_zeros_grow_back(split: Split) -> None:
    network = sparse()
    before = sum(int(each.sum()) for each in zeros(network).values())
    list(train(network, split, recipe_of(), SEED, History()))
    after = sum(int(each.sum()) for each in zeros(network).values())
    assert after < 0.1 * before


def test_the_weights_that_are_left_learn_as_without_masks(split: Split) -> None:
    """Without a zero there is nothing to hold."""
    first, second = new_network(), new_network()
    list(train(first, split, recipe_of(), SEED, History()))
    list(train(second, split, recipe_of(), SEED, History(), hold_zeros=True))
    states = first.module.state_dict(), second.module.state_dict()
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_a_narrow_network_trains_at_its_size(split: Split) -> None:
    network = sparse("channel", 0.5)
    shapes = {name: tensor.shape for name, tensor in network.tensors().items()}
    *_, last = train(network, split, recipe_of(), SEED, History(), hold_zeros=True)
    assert isinstance(last, EpochEnd)
    assert {name: tensor.shape for name, tensor in network.tensors().items()} == shapes
