"""Make the size attributes of layers agree with the shapes of their tensors."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from core.errors import InputError
from core.networks.layers import stored_tensors


def take_shapes(module: nn.Module, shapes: Mapping[str, torch.Size]) -> None:
    """Give every layer of a network on `meta` the shapes of its stored tensors, in place.

    Names that the network does not have are ignored. Raises InputError if a layer's vectors
    (bias, statistics) don't have one entry per output of its weight.
    """
    for name, layer in module.named_modules():
        has_changed = False
        for own, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
            stored = shapes.get(f"{name}.{own}" if name else own)
            if tensor is not None and stored is not None and stored != tensor.shape:
                has_changed = True
                empty = torch.empty(stored, dtype=tensor.dtype, device="meta")
                if isinstance(tensor, nn.Parameter):
                    layer._parameters[own] = nn.Parameter(empty, tensor.requires_grad)
                else:
                    layer._buffers[own] = empty
        if has_changed:
            _check_vectors(name, layer)
            update_sizes(layer)


def _check_vectors(name: str, layer: nn.Module) -> None:
    weight = layer._parameters.get("weight")
    if weight is None or not isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
        return
    for own, tensor in [*layer._parameters.items(), *layer._buffers.items()]:
        if tensor is not None and tensor.ndim == 1 and len(tensor) != len(weight):
            raise InputError(
                f"{name}.{own} has {len(tensor):,} numbers, but the layer has {len(weight):,} "
                "outputs"
            )


def update_sizes(module: nn.Module) -> None:
    """Set the sizes that a module of torch keeps as attributes, from its tensors."""
    lengths = [len(tensor) for tensor in stored_tensors(module).values() if tensor.ndim]
    if isinstance(module, _ConvNd):
        _update_convolution(module)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.GroupNorm) and lengths:
        per_group = module.num_channels // module.num_groups
        module.num_channels, module.num_groups = lengths[0], lengths[0] // per_group
    elif isinstance(module, nn.PReLU):
        module.num_parameters = lengths[0]
    elif hasattr(module, "num_features") and lengths:  # of batch-norm and what is like it
        setattr(module, "num_features", lengths[0])  # noqa: B010 typed as a module's


def _update_convolution(module: _ConvNd) -> None:
    is_transposed = isinstance(module, _ConvTransposeNd)
    first, second = module.weight.shape[:2]
    if 1 < module.groups == module.in_channels:  # one input channel a group
        per_group = module.out_channels // module.groups
        module.groups = first if is_transposed else first // per_group
        module.in_channels, module.out_channels = module.groups, module.groups * per_group
    elif is_transposed:
        module.in_channels, module.out_channels = first, second * module.groups
    else:
        module.in_channels, module.out_channels = second * module.groups, first
