"""Masks that hold during training: weights that pruning zeroed stay zero."""

from collections.abc import Iterable

import torch
from torch import Tensor

from core.networks.network import Network


class Masks:
    """The zeros of a network's prunable weights, to be kept whatever the optimiser does.

    Gradients are masked too: momentum and sharpness-aware steps then do not move these weights,
    and an optimiser that mixes the gradients of a filter sees none of theirs.
    """

    def __init__(self, weights: Iterable[Tensor]):
        found = [(weight, weight.detach() != 0) for weight in weights]
        self._masked = [(weight, is_left) for weight, is_left in found if not bool(is_left.all())]

    @classmethod
    def of(cls, network: Network) -> "Masks":
        return cls(layer.weight for layer in network.layers.values())

    def hold_gradients(self) -> None:
        for weight, is_left in self._masked:
            if weight.grad is not None:
                weight.grad.mul_(is_left)

    def hold_weights(self) -> None:
        with torch.no_grad():
            for weight, is_left in self._masked:
                weight.mul_(is_left)
