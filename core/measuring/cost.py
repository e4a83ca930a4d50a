"""The cost of a network: parameters, MACs and bytes."""

import zlib

from torch import nn

from core.measuring.outcome import Cost
from core.networks.checkpoint import stored_bytes, to_bytes
from core.networks.layers import weight_names
from core.networks.network import Network

COMPRESSION_LEVEL = 6  # zlib's and gzip's default


def cost(network: Network) -> Cost:
    """Count parameters, MACs and bytes; `compressed_bytes` is separate because it is slow."""
    sizes = {name: parameter.numel() for name, parameter in network.module.named_parameters()}
    weights = weight_names(network.module)
    densities = {
        layer: network.nonzero[weights[layer]] / sizes[weights[layer]]
        if layer in weights
        else int(network.layers[layer].weight.count_nonzero())
        / network.layers[layer].weight.numel()
        for layer in network.macs
    }
    return Cost(
        parameters=sum(sizes.values()),
        nonzero=sum(network.nonzero.values()),
        macs=sum(network.macs.values()),
        macs_nonzero=sum(macs * densities[name] for name, macs in network.macs.items()),
        bytes=stored_bytes(network.module),
    )


def compressed_bytes(module: nn.Module) -> int:
    """Return the size of the zlib-compressed file, where zeros save space."""
    return len(zlib.compress(to_bytes(module), COMPRESSION_LEVEL))
