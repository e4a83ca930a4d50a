"""What a criterion may look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import InputError
from core.evidence import InputSaliency, Saliency, readers_of
from core.evidence import readers as readers_by_name
from core.networks.groups import Group
from core.networks.layers import Layer, filters, input_dim, weight_names
from core.networks.network import Network


class NoScoreError(InputError):
    """A criterion cannot score one layer or group; the message is a clause that says why."""


@dataclass(frozen=True, eq=False)
class Facts:
    """A network, a generator for what is random, and what is known from training images."""

    network: Network
    generator: torch.Generator
    saliency: Saliency | None = None

    @cached_property
    def weights(self) -> Mapping[str, str]:
        """The name of each layer's stored weight, by layer."""
        return weight_names(self.network.module)

    def layer(self, name: str) -> Layer:
        return self.network.layers[name]

    def weight(self, name: str) -> Tensor:
        """Return a layer's weight (inputs, ...) or (outputs, ...), as it is stored."""
        return as_numbers(self.layer(name).weight.detach())

    def by_input(self, name: str) -> Tensor:
        """Return a layer's weight as (outputs, inputs, ...), also of a transposed convolution."""
        return self.weight(name).movedim(input_dim(self.layer(name)), 1)

    def filters(self, name: str) -> Tensor:
        """Return the weights of each output channel, (outputs, inputs·kh·kw)."""
        return as_numbers(filters(self.layer(name)))

    def batch_norm_behind(self, layer: str) -> _BatchNorm | None:
        """Return the batch-norm that alone takes a layer's output, if there is one."""
        return batch_norm_behind(self.network, layer)

    def inputs(self, layer: str) -> InputSaliency:
        """Return what training images say of a layer's inputs.

        Raises NoScoreError if the layer cannot be looked at.
        """
        if layer not in self.known.inputs:
            raise NoScoreError("what it reads cannot be looked at")
        return self.known.inputs[layer]

    @property
    def known(self) -> Saliency:
        """Return what is known from training images. Raises InputError if nothing is."""
        if self.saliency is None:
            raise InputError(
                "This criterion looks at training images, and those of this baseline have not been "
                "looked at yet: choose another criterion, or see that the images are there."
            )
        return self.saliency


def batch_norm_behind(network: Network, layer: str) -> _BatchNorm | None:
    """Return the batch-norm that alone takes a layer's output, if there is one."""
    name = network.structure.batch_norm_of.get(layer)
    found: nn.Module | None = network.module.get_submodule(name) if name is not None else None
    return found if isinstance(found, _BatchNorm) else None


def readers(facts: Facts, unit: Group | str) -> dict[str, Tensor]:
    """Return which inputs of each layer that reads a group are its channels, as `readers_of` does.

    Of a layer, return all its inputs. Raises NoScoreError if what is read cannot be looked at.
    """
    if isinstance(unit, Group):
        found = readers_of(facts.network, unit)
        if not found:
            raise NoScoreError("no layer that reads them can be looked at")
        return found
    layer = readers_by_name(facts.network).get(unit)
    if layer is None:
        raise NoScoreError("what it reads cannot be looked at")
    return {unit: torch.arange(layer.weight.shape[input_dim(layer)])[:, None]}


def as_numbers(tensor: Tensor) -> Tensor:
    """Return 16-bit numbers in fp32, so that sums neither overflow nor lose digits."""
    return tensor.float() if tensor.element_size() < 4 else tensor
