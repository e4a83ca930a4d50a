"""What a budget counts: how much of a quantity is left after pruning each unit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from core.errors import InputError
from core.measuring.outcome import Cost
from core.networks.network import Network
from core.specs.vocabulary import METHODS

QUANTITIES = ("parameters", "macs")


@dataclass(frozen=True, eq=False)
class Problem:
    """Units that lose weights or channels, and the quantity that is left.

    `left` takes the number of weights or channels that each unit lost, int64 (..., units), and
    returns the quantity left, (...,).
    """

    names: tuple[str, ...]
    sizes: np.ndarray  # int64 (units,)
    left: Callable[[np.ndarray], np.ndarray]

    @property
    def everything(self) -> float:
        return float(self.left(np.zeros(len(self.names), dtype=np.int64)))


def weights_problem(network: Network, quantity: str) -> Problem:
    """Count non-zero parameters, or theoretical MACs on them, for fine-grained pruning."""
    _check(quantity)
    layers = network.layers
    sizes = np.array([layer.weight.numel() for layer in layers.values()])
    if quantity == "macs":
        each = np.array([network.macs[name] for name in layers]) / sizes
    else:
        each = np.ones(len(sizes))
    fixed = _unprunable(network) if quantity == "parameters" else 0
    # The smallest weights are pruned first, so pruning existing zeros saves nothing.
    zeros = np.array([int((layer.weight == 0).sum()) for layer in layers.values()])

    def left(gone: np.ndarray) -> np.ndarray:
        result: np.ndarray = fixed + ((sizes - np.maximum(gone, zeros)) * each).sum(-1)
        return result

    return Problem(tuple(layers), sizes, left)


def channels_problem(network: Network, quantity: str) -> Problem:
    """Count stored parameters or executed MACs for channel pruning."""
    _check(quantity)
    groups = network.groups
    layers = network.layers
    sizes = np.array([group.size for group in groups])
    outputs = {name: number for number, group in enumerate(groups) for name in group.producers}
    inputs = {
        name: (number, repeat)
        for number, group in enumerate(groups)
        for name, repeat in group.consumers
    }
    macs = network.macs
    # A layer's quantity is proportional to outputs x inputs; each may belong to a group.
    out_size, in_size, each = [], [], []
    out_gone, in_gone = np.zeros((2, len(layers), len(groups)), dtype=np.int64)
    for row, (name, layer) in enumerate(layers.items()):
        outs, ins, *_ = layer.weight.shape
        out_size.append(outs)
        in_size.append(ins)
        each.append((macs[name] if quantity == "macs" else layer.weight.numel()) / (outs * ins))
        if name in outputs:
            out_gone[row, outputs[name]] = 1
        if name in inputs:
            number, repeat = inputs[name]
            in_gone[row, number] = repeat
    # Parameters of batch-norms and biases are removed with their channel.
    along = np.array(
        [
            sum(
                _parameters_along(network.module, name)
                for name in (*group.producers, *group.batch_norms)
            )
            / group.size
            for group in groups
        ]
    )
    fixed = _unprunable(network) if quantity == "parameters" else 0
    along = along if quantity == "parameters" else np.zeros_like(along)

    def left(gone: np.ndarray) -> np.ndarray:
        outs = np.array(out_size) - gone @ out_gone.T
        ins = np.array(in_size) - gone @ in_gone.T
        result: np.ndarray = (outs * ins * np.array(each)).sum(-1) + fixed - gone @ along
        return result

    return Problem(tuple(group.name for group in groups), sizes, left)


def problem_of(network: Network, method: str, quantity: str) -> Problem:
    """Return the problem of a method and quantity. Raises InputError if there is none."""
    match method:
        case "fine":
            return weights_problem(network, quantity)
        case "channel":
            return channels_problem(network, quantity)
    raise InputError(f"A budget can be solved for fine and channel, not for {method!r}.")


def quantity_of(found: Cost, method: str, quantity: str) -> float:
    """Return the quantity that the method's problem counts, from a network's cost."""
    _check(quantity)
    if METHODS[method].prunes_weights:
        return found.macs_nonzero if quantity == "macs" else found.nonzero
    return found.macs if quantity == "macs" else found.parameters


def _check(quantity: str) -> None:
    if quantity not in QUANTITIES:
        raise InputError(f"There is no quantity {quantity!r}: choose {' or '.join(QUANTITIES)}.")


def _unprunable(network: Network) -> int:
    """Count the parameters that are not weights of prunable layers: batch-norms and biases."""
    weights = sum(layer.weight.numel() for layer in network.layers.values())
    return sum(parameter.numel() for parameter in network.module.parameters()) - weights


def _parameters_along(module: nn.Module, name: str) -> int:
    """Count a layer's parameters that belong to its output channels, without its weights."""
    layer = module.get_submodule(name)
    own = sum(parameter.numel() for parameter in layer.parameters())
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return own - layer.weight.numel()
    return own
