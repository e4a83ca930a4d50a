"""What a budget counts: how much of a quantity is left after pruning each unit."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.measuring.outcome import Cost
from core.networks.layers import stored_tensors, weight_names
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
    """Count stored parameters or executed MACs for channel pruning.

    A tensor's size is the product of its dimensions, each less the positions of the channels that
    it loses. It counts once as parameters, and as MACs for each layer whose weight it is.
    """
    _check(quantity)
    groups = network.groups
    weights = weight_names(network.module)
    each: Counter[str] = Counter()  # what one number of a tensor counts
    if quantity == "macs":
        for layer, name in weights.items():
            each[name] += network.structure.positions.get(layer, 0)
        constant = sum(network.macs[layer] for layer in network.layers if layer not in weights)
    else:
        each.update(name for name, _ in network.module.named_parameters())
        constant = 0
    shapes = {name: tensor.shape for name, tensor in stored_tensors(network.module).items()}
    narrowing = narrowing_of(network, {name for name, count in each.items() if count})
    constant += sum(
        count * shapes[name].numel() for name, count in each.items() if name not in narrowing
    )
    # What the other dimensions of a narrowed tensor hold, times what each number counts.
    others = {
        name: each[name]
        * math.prod(size for dim, size in enumerate(shapes[name]) if dim not in narrowing[name])
        for name in narrowing
    }

    def left(gone: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.full(gone.shape[:-1], constant, dtype=np.int64)
        for name, dims in narrowing.items():
            sizes = [shapes[name][dim] - gone @ per_channel for dim, per_channel in dims.items()]
            result = result + others[name] * math.prod(sizes)
        return result

    return Problem(
        tuple(group.name for group in groups), np.array([group.size for group in groups]), left
    )


def narrowing_of(network: Network, names: Set[str]) -> dict[str, dict[int, np.ndarray]]:
    """Return the positions that each dimension loses with one channel of each group.

    By tensor, of `names`, and dimension: int64 (groups,). What no group narrows is left out.
    """
    groups = network.groups
    narrowing: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for number, group in enumerate(groups):
        for member in group.members:
            if member.tensor in names:
                dims = narrowing[member.tensor]
                per_channel = dims.setdefault(member.dim, np.zeros(len(groups), dtype=np.int64))
                per_channel[number] += member.positions.shape[1]
    return narrowing


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
