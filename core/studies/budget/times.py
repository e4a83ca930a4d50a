"""Plan in time: how long each layer takes at each width, measured once on a machine.

As in Yang et al., "NetAdapt: Platform-Aware Neural Network Adaptation for Mobile Applications",
2018, a network's time is predicted as the sum of those of its layers.
"""

import json
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from scipy.interpolate import RegularGridInterpolator
from torch import Tensor, nn

from core.errors import InputError
from core.measuring.alternating import Round, Speedup
from core.measuring.latency import compare_latency
from core.networks.batch_norm import finished
from core.networks.layers import copy_with, weight_names
from core.networks.network import Network
from core.studies.budget.problem import Problem, narrowing_of

PARTS = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)
"""The widths at which a layer is timed, of those that it has."""
ROUNDS, LEAST_SECONDS = 5, 0.01


@dataclass(frozen=True, eq=False)
class Grid:
    """The seconds of a layer by its outputs and inputs."""

    outputs: tuple[int, ...]  # ascending
    inputs: tuple[int, ...]
    seconds: np.ndarray  # (outputs, inputs)

    def at(self, outputs: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Interpolate; outside the grid the nearest width counts. The time never falls with it."""
        places = [
            np.clip(each, known[0], known[-1])
            for each, known in ((outputs, self.outputs), (inputs, self.inputs))
        ]
        found: np.ndarray = self._interpolator(np.stack(places, -1)).reshape(places[0].shape)
        return found

    @cached_property
    def _interpolator(self) -> RegularGridInterpolator:
        rising = np.maximum.accumulate(np.maximum.accumulate(self.seconds, 0), 1)
        axes = [np.array(each, dtype=float) for each in (self.outputs, self.inputs)]
        for number, axis in enumerate(axes):
            if len(axis) == 1:  # SciPy needs two points in each direction
                axes[number] = np.array([axis[0], axis[0] + 1])
                rising = np.repeat(rising, 2, number)
        return RegularGridInterpolator(axes, rising)


@dataclass(frozen=True, eq=False)
class LayerTimes:
    """The seconds of a network's layers by their widths, and those of the whole network."""

    grids: Mapping[str, Grid]  # by layer
    whole: float  # seconds of the unpruned network, measured

    def predict(self, network: Network) -> float:
        """Return the seconds of a network whose layers are these, as wide or narrower.

        The sum of its layers, in proportion to the whole unpruned network: what is not in layers
        is taken to shrink with them.
        """
        layers = network.layers
        return float(
            self._scale
            * sum(
                grid.at(*(np.array(size) for size in layers[name].weight.shape[:2]))
                for name, grid in self.grids.items()
            )
        )

    def problem(self, network: Network) -> Problem:
        """Return what channel pruning can save of the time, for `solve`."""
        groups, layers = network.groups, network.layers
        names = weight_names(network.module)
        narrowing = narrowing_of(network, set(names.values()))
        none = np.zeros(len(groups), dtype=np.int64)

        def left(gone: np.ndarray) -> np.ndarray:
            seconds = np.zeros(gone.shape[:-1])
            for layer, grid in self.grids.items():
                dims = narrowing.get(names[layer], {})
                sizes = [
                    layers[layer].weight.shape[dim] - gone @ dims.get(dim, none) for dim in (0, 1)
                ]
                seconds = seconds + grid.at(*sizes)
            return seconds * self._scale

        sizes = np.array([group.size for group in groups])
        return Problem(tuple(group.name for group in groups), sizes, left)

    @cached_property
    def _scale(self) -> float:
        full = (
            grid.at(np.array(grid.outputs[-1]), np.array(grid.inputs[-1]))
            for grid in self.grids.values()
        )
        return self.whole / float(sum(full))

    def to_json(self) -> str:
        grids = {
            name: [grid.outputs, grid.inputs, grid.seconds.tolist()]
            for name, grid in self.grids.items()
        }
        return json.dumps({"whole": self.whole, "layers": grids})

    @classmethod
    def from_json(cls, text: str) -> "LayerTimes":
        """Undo `to_json`. Raises InputError for anything else."""
        try:
            content = json.loads(text)
            grids = {
                str(name): Grid(tuple(outputs), tuple(inputs), np.array(seconds, dtype=float))
                for name, (outputs, inputs, seconds) in content["layers"].items()
            }
            times = cls(grids, float(content["whole"]))
            fits = all(
                grid.seconds.shape == (len(grid.outputs), len(grid.inputs)) and grid.seconds.size
                for grid in grids.values()
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"The table of layers' times is damaged ({error}).") from error
        if not fits or not grids:
            raise InputError("The table of layers' times is damaged.")
        return times


Prepare = Callable[[nn.Module, Tensor], tuple[Callable[[Tensor], object], Tensor]]
"""Makes a layer and a batch of its inputs ready to run."""


def measure_layer_times(
    network: Network, whole: float, batch: int, threads: int, prepare: Prepare
) -> Generator[Round, None, LayerTimes]:
    """Time each convolution and linear layer alone, at the widths PARTS of outputs and inputs.

    Layers of the same shape are timed once, each width alternately with the full one. `whole` is
    the seconds of the whole network at the same batch and threads. Yields after each width.
    """
    shapes = layer_shapes(network, batch)
    grids: dict[LayerShape, Grid] = {}
    widths = {shape: (_widths(shape.outputs), _widths(shape.inputs)) for shape in shapes.values()}
    total = sum(len(outputs) * len(inputs) for outputs, inputs in widths.values())
    done = 0
    for shape, (outputs, inputs) in widths.items():
        full = prepare(*shape.build(shape.outputs, shape.inputs))
        ratios, references = np.empty((len(outputs), len(inputs))), []
        for row, column in np.ndindex(ratios.shape):
            narrow = prepare(*shape.build(outputs[row], inputs[column]))
            steps = compare_latency([narrow, full], threads, ROUNDS, LEAST_SECONDS)
            found = Speedup.of(finished(steps))
            ratios[row, column] = 1 / found.median
            references.append(found.reference_seconds)
            done += 1
            yield Round(done, total)
        grids[shape] = Grid(outputs, inputs, ratios * float(np.median(references)))
    return LayerTimes({name: grids[shape] for name, shape in shapes.items()}, whole)


@dataclass(frozen=True)
class LayerShape:
    """What determines how long a convolution or a linear layer takes."""

    outputs: int
    inputs: int  # that each output reads
    batch: tuple[int, ...]  # shape of its inputs without their channels, which come second or last
    settings: tuple[Any, ...] = ()  # of a convolution: kernel, stride, padding, dilation, groups

    @classmethod
    def of(cls, layer: nn.Module, shape: tuple[int, ...]) -> "LayerShape":
        """Return the shape of a layer whose inputs have this shape."""
        if isinstance(layer, nn.Conv2d):
            settings = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            return cls(
                layer.weight.shape[0],
                layer.weight.shape[1],
                (shape[0], *shape[2:]),
                (*settings, layer.groups),
            )
        assert isinstance(layer, nn.Linear)
        return cls(layer.weight.shape[0], layer.weight.shape[1], shape[:-1])

    def build(self, outputs: int, inputs: int) -> tuple[nn.Module, Tensor]:
        """Return a layer of these widths, with a batch of inputs."""
        if not self.settings:
            return nn.Linear(inputs, outputs), torch.randn(*self.batch, inputs)
        kernel, stride, padding, dilation, groups = self.settings
        if groups > 1:  # a depthwise convolution has as many groups as outputs
            groups = outputs if self.inputs == 1 else math.gcd(groups, outputs)
        images, *place = self.batch
        layer = nn.Conv2d(inputs * groups, outputs, kernel, stride, padding, dilation, groups)
        return layer, torch.randn(images, inputs * groups, *place)


def layer_shapes(network: Network, batch: int) -> dict[str, LayerShape]:
    """Return the shape of each layer that can be timed alone, at a batch of so many images.

    These are two-dimensional convolutions and linear layers. One that runs several times has the
    shape of its first run.
    """
    shapes: dict[str, LayerShape] = {}
    copied = copy_with(network.module, {})  # the network itself may be running elsewhere

    def look(name: str, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes.setdefault(name, LayerShape.of(layer, (batch, *inputs[0].shape[1:])))

    for name, layer in copied.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_pre_hook(partial(look, name))
    with torch.inference_mode():
        copied(torch.zeros(network.signature.example))
    return {name: shape for name, shape in shapes.items() if name in network.layers}


def _widths(size: int) -> tuple[int, ...]:
    return tuple(sorted({max(1, round(part * size)) for part in PARTS}))
