"""What the bundle of a network says of it."""

from torch import nn

from core.data.normalisation import CIFAR10
from core.networks.network import Network
from core.networks.signature import Signature
from core.specs.architecture import Architecture


def test_a_network_without_parameters_has_nothing_to_prune() -> None:
    network = Network.of(nn.Flatten(), Signature(Architecture("flatten"), 10, 32, CIFAR10))
    assert not network.layers
    assert not network.groups
    assert not network.macs
