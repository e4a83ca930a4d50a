"""A network together with its structure, which is traced once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from core.data.normalisation import Normalisation
from core.networks.flow import follow
from core.networks.groups import Group, Structure
from core.networks.layers import Layer, copy_with, nonzero_parameters, prunable_layers
from core.networks.registry import entry
from core.networks.segments import Segment
from core.networks.signature import Signature
from core.specs.architecture import Architecture


@dataclass(frozen=True, eq=False)
class Network:
    """A module in eval mode, its structure, and the format of its images; never modify it."""

    module: nn.Module
    structure: Structure
    signature: Signature
    runs_channels_last: bool  # whether the forward accepts channels_last memory order

    @classmethod
    def of(cls, module: nn.Module, signature: Signature) -> "Network":
        """Trace a module once with an example image, on the device `meta`.

        Raises InputError if the network cannot run on `meta`.
        """
        structure = follow(module, signature.example)
        return cls(module, structure, signature, runs_channels_last(module, signature.example))

    def with_module(self, module: nn.Module) -> "Network":
        """Return the same network with other weights or fewer channels; layer names must be equal.

        The structure, with its groups, remains that of the original network.
        """
        return replace(self, module=module)

    @property
    def memory_format(self) -> torch.memory_format:
        """The fastest memory order that the forward accepts."""
        return torch.channels_last if self.runs_channels_last else torch.contiguous_format

    def inputs(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Normalise uint8 images (N, colours, H, W), in the network's memory order."""
        normalised = self.normalisation.apply(images, dtype)
        return normalised.contiguous(memory_format=self.memory_format)

    @property
    def architecture(self) -> Architecture:
        return self.signature.architecture

    @property
    def classes(self) -> int:
        return self.signature.classes

    @property
    def normalisation(self) -> Normalisation:
        return self.signature.normalisation

    @property
    def groups(self) -> tuple[Group, ...]:
        return self.structure.groups

    @cached_property
    def layers(self) -> Mapping[str, Layer]:
        """The layers whose weights can be pruned, by name, in network order."""
        return prunable_layers(self.module)

    @cached_property
    def macs(self) -> Mapping[str, int]:
        """Multiply-accumulates for one image, by layer.

        Only convolutions and linear layers are counted; batch-norm and additions are below 1%.
        """
        positions = self.structure.positions
        return {
            name: positions.get(name, 0) * layer.weight.numel()
            for name, layer in self.layers.items()
        }

    @cached_property
    def nonzero(self) -> Mapping[str, int]:
        """The number of non-zero entries of each parameter, by name."""
        return nonzero_parameters(self.module)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The consecutive parts of the network, if the architecture defines them."""
        return entry(self.architecture).segments(self.module)

    def tensors(self) -> dict[str, Tensor]:
        return self.module.state_dict()


def runs_channels_last(module: nn.Module, shape: Sequence[int]) -> bool:
    """Return whether the forward accepts channels_last order, by running one image on a copy.

    A forward that calls `view` on a contiguous tensor fails. The test cannot run on `meta`, because
    convolutions on `meta` don't propagate the memory order.
    """
    tried = copy_with(module, {}).eval()
    weight = next(tried.parameters(), torch.empty(0))
    image = torch.zeros(tuple(shape), dtype=weight.dtype, device=weight.device)
    try:
        with torch.inference_mode():
            tried(image.to(memory_format=torch.channels_last))
    except (RuntimeError, ValueError):  # "view size is not compatible with input tensor's size"
        return False
    return True
