"""Means and covariances of what layers read, over training images and positions."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from core.device import DTYPES, best_device, resolve_precision
from core.networks.batch_norm import Recovering, calibration_batches, fold_batch_norms
from core.networks.layers import Layer, input_dim, prunable_layers, weight_names
from core.networks.network import Network

MOST_INPUTS = 4096
"""Layers that read more, such as the first linear layer of a VGG for large images, are left out."""
ROWS_AT_ONCE = 1 << 12
"""Positions that are summed in fp32, which is exact to about 1e-5; sums of those are in fp64."""


@dataclass(frozen=True, eq=False)
class Moments:
    """The inputs of one layer: a value for each index of its weight's input dimension."""

    mean: Tensor  # float32 (inputs,)
    covariance: Tensor  # float32 (inputs, inputs)


def readers(network: Network) -> dict[str, Layer]:
    """Return the layers that read a prunable group and whose weights can be adapted, by name.

    Left out are convolutions in groups, weights that several layers share or that are computed, and
    layers of more than MOST_INPUTS inputs.
    """
    layers, weights = prunable_layers(network.module), weight_names(network.module)
    shared = list(weights.values())
    reading = dict.fromkeys(layer for group in network.groups for layer, _ in group.consumers)
    return {
        name: layers[name]
        for name in reading
        if name in weights
        and name not in network.structure.computed
        and shared.count(weights[name]) == 1
        and getattr(layers[name], "groups", 1) == 1
        and layers[name].weight.shape[input_dim(layers[name])] <= MOST_INPUTS
    }


def collect(
    network: Network,
    images: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Generator[Recovering, None, dict[str, Moments]]:
    """Run training images, uint8 (N, 3, H, W), once; yield progress, return each reader's moments.

    They depend on the size of batches and the number of threads by rounding only. The network is
    not modified.
    """
    device = device or best_device()
    dtype = DTYPES[resolve_precision(precision, device)]
    folded = fold_batch_norms(network).to(device, dtype)
    folded = folded.to(memory_format=network.memory_format)
    sums = {name: _Sums(layer) for name, layer in readers(network).items()}
    for name, each in sums.items():
        folded.get_submodule(name).register_forward_pre_hook(each.add, with_kwargs=True)
    done = 0
    for batch in calibration_batches(images, network.normalisation, device, dtype):
        with torch.inference_mode():
            folded(batch.contiguous(memory_format=network.memory_format))
        done += len(batch)
        yield Recovering(done, len(images))
    return {name: each.moments() for name, each in sums.items()}


class _Sums:
    """Sums over the positions that a layer reads, in fp64 on the CPU."""

    def __init__(self, layer: Layer):
        inputs = layer.weight.shape[input_dim(layer)]
        self.count = 0
        self.centre: Tensor | None = None  # about the mean, so that squares are not much larger
        self.first = torch.zeros(inputs, dtype=torch.float64)
        self.second = torch.zeros(inputs, inputs, dtype=torch.float64)

    def add(self, layer: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        rows = _rows(layer, arguments[0] if arguments else named["input"])
        for chunk in torch.split(rows, ROWS_AT_ONCE):
            if self.centre is None:
                self.centre = chunk.float().mean(0)
            part = chunk.float() - self.centre
            self.count += len(part)
            self.first += part.sum(0).double().cpu()
            self.second += (part.T @ part).double().cpu()

    def moments(self) -> Moments:
        count = max(self.count, 1)  # a layer that the forward skips reads nothing
        mean = self.first / count
        covariance = self.second / count - torch.outer(mean, mean)
        if self.centre is not None:
            mean = mean + self.centre.double().cpu()
        return Moments(mean.float(), covariance.float())


def _rows(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return the inputs at each position that the layer reads, (positions, inputs).

    A larger kernel reads every position, at its borders fewer times, which is neglected.
    """
    if not isinstance(layer, _ConvNd):
        return inputs.reshape(-1, inputs.shape[-1])
    if all(size == 1 for size in layer.kernel_size):
        for dim, stride in enumerate(layer.stride, -len(layer.stride)):
            inputs = inputs.index_select(dim, torch.arange(0, inputs.shape[dim], stride))
    return inputs.movedim(-1 - len(layer.kernel_size), -1).flatten(0, -2)
