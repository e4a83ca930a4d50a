"""What the bundle of a network says of it."""

from dataclasses import replace

from torch import nn

from core.data.normalisation import CIFAR10, Normalisation
from core.networks.network import Network
from core.specs.architecture import Architecture
from tests.small_networks import random_network


def test_what_decides_besides_the_tensors_is_part_of_the_identity() -> None:
    network = random_network()
    assert network.identity == "resnet18"  # as in every key of the first results
    others = [
        replace(network, architecture=Architecture.of("resnet18", {"stride": 2})),
        replace(network, architecture=Architecture("another")),
        replace(network, image_size=64),
        replace(network, normalisation=Normalisation((0.5,) * 3, CIFAR10.std)),
        replace(network, normalisation=Normalisation(CIFAR10.mean, (0.5,) * 3)),
    ]
    identities = {network.identity, *(other.identity for other in others)}
    assert len(identities) == 1 + len(others)


def test_a_pruned_network_keeps_its_identity() -> None:
    network = random_network()
    assert network.with_module(random_network(seed=1).module).identity == network.identity


def test_the_order_of_settings_makes_no_difference() -> None:
    one, other = (
        Architecture.of("resnet18", settings) for settings in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    assert one == other

    def identity(architecture: Architecture) -> str:
        return replace(random_network(), architecture=architecture).identity

    assert identity(one) == identity(other)


def test_a_network_without_parameters_has_nothing_to_prune() -> None:
    network = Network.of(nn.Flatten(), Architecture("flatten"), 10, 32, CIFAR10)
    assert not network.layers
    assert not network.groups
    assert not network.macs
