"""Means and covariances of what layers read, over training images and positions."""

import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from core.device import DTYPES, best_device, resolve_precision
from core.evidence.reading import MOST_COLUMNS, readers
from core.networks.batch_norm import (
    CALIBRATION_BATCH,
    Recovering,
    calibration_batches,
    fold_batch_norms,
)
from core.networks.layers import Layer, input_dim
from core.networks.network import Network

POSITIONS = 1 << 15
"""Positions of each layer that are looked at; more hardly change what is fitted."""
POSITIONS_AT_ONCE = 1 << 12
"""Positions that are summed in fp32, which is exact to about 1e-5; sums of those are in fp64."""

RIDGE = 1e-3

Offset = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Moments:
    """What one layer reads: the means of its inputs, and their covariances over its kernel.

    Two places of a kernel see the same map, shifted, so that all covariances between them follow
    from those between the map and its shifted copies.
    """

    kernel: tuple[int, ...]  # () where places are taken as independent, or a layer is linear
    mean: Tensor  # float32 (inputs,)
    shifted: Tensor  # float32 (offsets, inputs, inputs), by `offsets(kernel)`

    @property
    def places(self) -> int:
        """The number of places in the kernel that are seen together."""
        return math.prod(self.kernel)

    def rows(self, weight: Tensor) -> Tensor:
        """Return a weight (outputs, inputs, ...) as (rows, inputs, places).

        A row is what makes one number: an output, or one place of it where they are independent.
        """
        flat = weight.reshape(*weight.shape[:2], -1)
        if flat.shape[2] == self.places:
            return flat
        return flat.movedim(2, 1).reshape(-1, flat.shape[1], 1)

    def weight(self, rows: Tensor, kernel: Sequence[int]) -> Tensor:
        """Undo `rows` for a weight with this kernel; the inputs may be fewer."""
        inputs, taps = rows.shape[1], math.prod(kernel)
        if taps != self.places:
            rows = rows.view(-1, taps, inputs).movedim(1, 2)
        return rows.reshape(-1, inputs, *kernel)

    def covariance(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the covariances of some inputs with others, float32.

        The shape is (left inputs x places, right inputs x places), the place varying fastest.
        """
        places = list(itertools.product(*map(range, self.kernel)))
        position = {offset: number for number, offset in enumerate(offsets(self.kernel))}
        there = self.shifted[:, left][:, :, right]
        back = self.shifted[:, right][:, :, left].transpose(1, 2)
        # Whole blocks are written one after the other, and put in order at the end: twice as fast.
        found = torch.empty(len(places), len(left), len(places), len(right))
        for (row, one), (column, other) in itertools.product(enumerate(places), repeat=2):
            offset = tuple(b - a for a, b in zip(one, other, strict=True))
            if offset in position:
                found[row, :, column] = there[position[offset]]
            else:
                found[row, :, column] = back[position[tuple(-step for step in offset)]]
        inputs_first = found.permute(1, 0, 3, 2)
        return inputs_first.reshape(len(left) * len(places), len(right) * len(places))

    @property
    def variance(self) -> Tensor:
        """Return the variance of each input, float32 (inputs,)."""
        return self.shifted[offsets(self.kernel).index((0,) * len(self.kernel))].diagonal()

    def elimination(self, inputs: Tensor) -> Tensor:
        """Return what to do with later inputs when one of `inputs` is zeroed.

        The product of its transpose and it, float32 upper triangular, is the inverse of the second
        moments of these inputs, ascending, (inputs x places) squared. Of those the diagonal is
        raised by RIDGE times its mean.
        """
        return self._whole_elimination if len(inputs) == len(self.mean) else self._eliminate(inputs)

    @cached_property
    def _whole_elimination(self) -> Tensor:
        return self._eliminate(torch.arange(len(self.mean)))

    def _eliminate(self, inputs: Tensor) -> Tensor:
        second = self.covariance(inputs, inputs).double()
        mean = self.mean[inputs].double().repeat_interleave(self.places)
        second += torch.outer(mean, mean)
        raised = RIDGE * second.diagonal().mean()
        second.diagonal().add_(raised.clamp_min(torch.finfo(torch.float32).tiny))
        # Of the matrix in reverse order, because the inverse of a factor is one of the inverse.
        factor = torch.linalg.cholesky(second.flip(0, 1))
        identity = torch.eye(len(second), dtype=torch.float64)
        inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        elimination: Tensor = inverse.flip(0, 1).float()
        return elimination


def offsets(kernel: Sequence[int]) -> list[Offset]:
    """Return the differences between two places of a kernel, one of each pair of opposites."""
    every = itertools.product(*(range(1 - size, size) for size in kernel))
    return [offset for offset in every if offset >= (0,) * len(kernel)]


def collect(
    network: Network,
    images: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Generator[Recovering, None, dict[str, Moments]]:
    """Run training images, uint8 (N, 3, H, W), once; yield progress, return each layer's moments.

    They depend on the number of threads by rounding only. The network is not modified.
    """
    device = device or best_device()
    dtype = DTYPES[resolve_precision(precision, device)]
    folded = fold_batch_norms(network).to(device, dtype)
    folded = folded.to(memory_format=network.memory_format)
    batches = max(1, round(len(images) / CALIBRATION_BATCH))
    sums = {name: _Sums(layer, POSITIONS // batches) for name, layer in readers(network).items()}
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

    def __init__(self, layer: Layer, positions: int):
        inputs = layer.weight.shape[input_dim(layer)]
        kernel = tuple(layer.kernel_size) if isinstance(layer, _ConvNd) else ()
        self.kernel = kernel if inputs * math.prod(kernel) <= MOST_COLUMNS else ()
        self.positions = positions  # of each batch
        self.centre: Tensor | None = None  # about the mean, so that squares are not much larger
        # With a constant 1 as a further input: its products are the sums and the counts.
        size = inputs + 1
        self.products = torch.zeros(len(offsets(self.kernel)), size, size, dtype=torch.float64)

    def add(self, layer: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        maps = _maps(layer, arguments[0] if arguments else named["input"])
        positions = maps[0, ..., 0].numel()
        for part in torch.split(
            maps[: max(1, self.positions // positions)], max(1, POSITIONS_AT_ONCE // positions)
        ):
            self._add(part.float())

    def _add(self, maps: Tensor) -> None:
        if self.centre is None:
            self.centre = maps.flatten(0, -2).mean(0)
        maps = F.pad(maps - self.centre, (0, 1), value=1)
        rows = maps.flatten(0, -2)
        for number, offset in enumerate(offsets(self.kernel)):
            products = rows.T @ _shifted(maps, offset).flatten(0, -2)
            self.products[number] += products.double().cpu()

    def moments(self) -> Moments:
        count = self.products[0, -1, -1].clamp_min(1)  # a layer that is skipped reads nothing
        mean = self.products[0, :-1, -1] / count
        left, right = self.products[:, :-1, -1:], self.products[:, -1:, :-1]
        pairs = self.products[:, -1:, -1:]
        shifted = self.products[:, :-1, :-1] - left * mean - mean[:, None] * right
        shifted += pairs * torch.outer(mean, mean)
        if self.centre is not None:
            mean = mean + self.centre.double().cpu()
        return Moments(self.kernel, mean.float(), (shifted / count).float())


def _maps(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return what a layer reads as (N, ..., inputs), with the positions in the middle.

    Of a convolution these are all positions, whatever its stride; one with a single place in its
    kernel reads only some.
    """
    if not isinstance(layer, _ConvNd):
        return inputs.reshape(len(inputs), -1, inputs.shape[-1])
    if math.prod(layer.kernel_size) == 1:
        for dim, stride in enumerate(layer.stride, -len(layer.stride)):
            steps = torch.arange(0, inputs.shape[dim], stride, device=inputs.device)
            inputs = inputs.index_select(dim, steps)
    return inputs.movedim(-1 - len(layer.kernel_size), -1)


def _shifted(maps: Tensor, offset: Offset) -> Tensor:
    """Return the maps moved by some positions, zero where nothing was."""
    if not any(offset):
        return maps
    sides = [side for step in reversed(offset) for side in (max(0, -step), max(0, step))]
    padded = F.pad(maps, (0, 0, *sides))
    for dim, step in enumerate(offset, 1):
        padded = padded.narrow(dim, max(0, step), maps.shape[dim])
    return padded
