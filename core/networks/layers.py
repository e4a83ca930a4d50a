"""Layers whose weights can be pruned, and copies of a network with other tensors."""

import copy
from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn


def prunable_layers(model: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Every convolution and linear layer by name, in network order."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def nonzero_per_output(weight: Tensor) -> np.ndarray:
    """How many weights of each filter are not zero: int64 (out,).

    NumPy counts a boolean array some ten times as fast as torch on a processor.
    """
    is_nonzero = (weight.detach() != 0).flatten(1).cpu().numpy()
    counts: np.ndarray = np.count_nonzero(is_nonzero, axis=1)
    return counts


def nonzero_parameters(model: nn.Module) -> dict[str, int]:
    """How many entries of each parameter are not zero, by name."""
    return {
        name: int(np.count_nonzero((parameter.detach() != 0).cpu().numpy()))
        for name, parameter in model.named_parameters()
    }


def copy_with(model: nn.Module, replacements: Mapping[str, Tensor]) -> nn.Module:
    """A deep copy of the model in which the named parameters and buffers are these instead.

    What is replaced is not copied first.
    """
    current = dict(model.named_parameters()) | dict(model.named_buffers())
    memo: dict[int, Tensor] = {}
    for name, tensor in replacements.items():
        old = current[name]
        is_parameter = isinstance(old, nn.Parameter)
        memo[id(old)] = nn.Parameter(tensor, old.requires_grad) if is_parameter else tensor
    return copy.deepcopy(model, memo)
