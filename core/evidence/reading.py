"""Which layers read a group of channels, and where."""

from collections import Counter

import torch
from torch import Tensor

from core.networks.groups import Group
from core.networks.layers import Layer, input_dim, prunable_layers, weight_names
from core.networks.network import Network

MOST_COLUMNS = 4608
"""Size of the largest matrix: a 3x3 kernel over 512 channels. For a larger kernel or more channels
the places of a kernel are taken as independent; layers that read still more are left out."""


def readers(network: Network) -> dict[str, Layer]:
    """Return the layers whose inputs can be looked at and whose weights can be adapted, by name.

    Left out are convolutions in groups, weights that several layers share or that are computed, and
    layers of more than MOST_COLUMNS inputs.
    """
    layers, weights = prunable_layers(network.module), weight_names(network.module)
    shared = Counter(weights.values())
    return {
        name: layer
        for name, layer in layers.items()
        if name in weights
        and name not in network.structure.computed
        and shared[weights[name]] == 1
        and getattr(layer, "groups", 1) == 1
        and layer.weight.shape[input_dim(layer)] <= MOST_COLUMNS
    }


def readers_of(network: Network, group: Group) -> dict[str, Tensor]:
    """Return where each of the `readers` of a group has its channels, by layer.

    The positions among the layer's inputs are int64 (channels, inputs per channel).
    """
    places = {(member.tensor, member.dim): member.positions for member in group.members}
    weights, known = weight_names(network.module), readers(network)
    return {
        name: torch.from_numpy(places[weights[name], input_dim(known[name])])
        for name, _ in group.consumers
        if name in known
    }
