"""Layers whose weights can be pruned, and copies of a network with other tensors."""

import copy
from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Layer = _ConvNd | nn.Linear


def prunable_layers(model: nn.Module) -> dict[str, Layer]:
    """Every convolution, transposed ones too, and linear layer by name, in network order."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _ConvNd | nn.Linear)
    }


def weight_names(model: nn.Module) -> dict[str, str]:
    """The name of each layer's weight in `stored_tensors`, by layer, where it is stored.

    Layers that share one Parameter have the same one. A weight that a hook or a parametrization
    computes is not stored.
    """
    names = {id(tensor): name for name, tensor in reversed(stored_tensors(model).items())}
    weights = {
        layer: names.get(id(each._parameters.get("weight")))
        for layer, each in prunable_layers(model).items()
    }
    return {layer: name for layer, name in weights.items() if name is not None}


def output_dim(layer: Layer) -> int:
    """The dimension of a layer's weight that its output channels are: 1 for a transposed one."""
    return 1 if isinstance(layer, _ConvTransposeNd) else 0


def input_dim(layer: Layer) -> int:
    """The dimension of a layer's weight that its input channels are."""
    return 1 - output_dim(layer)


def filters(layer: Layer) -> Tensor:
    """The weights of each output channel: (out, in·kh·kw).

    A transposed convolution in groups has (out / groups, in·kh·kw): what is in one row there
    stands in the same place of every group.
    """
    return layer.weight.detach().movedim(output_dim(layer), 0).flatten(1)


def nonzero_per_output(weight: Tensor) -> np.ndarray:
    """How many weights of each filter, (out, ...), are not zero: int64 (out,).

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


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; one that has several names by its first."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def copy_with(model: nn.Module, replacements: Mapping[str, Tensor]) -> nn.Module:
    """A deep copy of the model in which the named parameters and buffers are these instead.

    What is replaced is not copied first.
    """
    current = stored_tensors(model)
    memo: dict[int, Tensor] = {}
    for module in model.modules():  # a weight that a hook computed cannot be copied by Python
        results = (each for each in vars(module).values() if isinstance(each, Tensor))
        memo |= {id(each): each.detach().clone() for each in results if not each.is_leaf}
    for name, tensor in replacements.items():
        old = current[name]
        is_parameter = isinstance(old, nn.Parameter)
        memo[id(old)] = nn.Parameter(tensor, old.requires_grad) if is_parameter else tensor
    return copy.deepcopy(model, memo)
