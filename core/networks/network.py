"""A network together with its structure, which is traced once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from core.data.normalisation import CIFAR10, CIFAR10_IMAGE_SIZE, Normalisation
from core.networks.flow import follow
from core.networks.groups import Group, Structure
from core.networks.layers import Layer, copy_with, nonzero_parameters, prunable_layers
from core.networks.registry import entry
from core.networks.segments import Segment
from core.specs.architecture import Architecture


@dataclass(frozen=True, eq=False)
class Network:
    """A module in eval mode, its structure, and the format of its images; never modify it."""

    module: nn.Module
    structure: Structure
    architecture: Architecture
    classes: int
    image_size: int  # height and width, in pixels
    normalisation: Normalisation
    runs_channels_last: bool  # whether the forward accepts channels_last memory order

    @classmethod
    def of(
        cls,
        module: nn.Module,
        architecture: Architecture,
        classes: int,
        image_size: int,
        normalisation: Normalisation,
    ) -> "Network":
        """Trace a module once with an example image, on the device `meta`.

        Raises InputError if the network cannot run on `meta`.
        """
        example = (1, len(normalisation.mean), image_size, image_size)
        return cls(
            module,
            follow(module, example),
            architecture,
            classes,
            image_size,
            normalisation,
            runs_channels_last(module, example),
        )

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
    def identity(self) -> str:
        """Everything besides tensors that determines the output, as text for a result's key.

        This is the architecture's name alone, unless it has settings or its images differ from
        CIFAR-10's.
        """
        settings = dict(self.architecture.settings)
        if (self.image_size, self.normalisation) != (CIFAR10_IMAGE_SIZE, CIFAR10):
            settings |= {"image_size": self.image_size, **asdict(self.normalisation)}
        if not settings:
            return self.architecture.name
        return f"{self.architecture.name} {json.dumps(settings, sort_keys=True)}"

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
