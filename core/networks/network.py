"""A network together with what must be known of it, found once."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from torch import Tensor, nn

from core.data.normalisation import CIFAR10, CIFAR10_IMAGE_SIZE, Normalisation
from core.networks.flow import follow
from core.networks.groups import Group, Structure
from core.networks.layers import Layer, nonzero_parameters, prunable_layers
from core.networks.registry import entry
from core.networks.segments import Segment
from core.specs.architecture import Architecture


@dataclass(frozen=True, eq=False)
class Network:
    """A module in eval mode, its structure, and the images that it takes; never change it."""

    module: nn.Module
    structure: Structure
    architecture: Architecture
    classes: int
    image_size: int  # pixels, of height and width
    normalisation: Normalisation

    @classmethod
    def of(
        cls,
        module: nn.Module,
        architecture: Architecture,
        classes: int,
        image_size: int,
        normalisation: Normalisation,
    ) -> "Network":
        """Follow a module once, with an example of its image size, on no device at all.

        Raises InputError where the network cannot be run so.
        """
        structure = follow(module, (1, len(normalisation.mean), image_size, image_size))
        return cls(module, structure, architecture, classes, image_size, normalisation)

    def with_module(self, module: nn.Module) -> "Network":
        """The same network with other weights, or with fewer channels: layers keep their names.

        The groups are those of the network before.
        """
        return replace(self, module=module)

    @property
    def example_shape(self) -> tuple[int, int, int, int]:
        """Of one image."""
        return (1, len(self.normalisation.mean), self.image_size, self.image_size)

    @property
    def identity(self) -> str:
        """What decides its answers besides its tensors, as canonical text for a result's key.

        The name of the architecture alone, unless it has settings or takes other images than
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

        Convolutions and linear layers count; what batch-norm and additions take is below 1 %.
        """
        positions = self.structure.positions
        return {
            name: positions.get(name, 0) * layer.weight.numel()
            for name, layer in self.layers.items()
        }

    @cached_property
    def nonzero(self) -> Mapping[str, int]:
        """How many entries of each parameter are not zero, by name."""
        return nonzero_parameters(self.module)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The parts that run one after the other, as far as the architecture tells them."""
        return entry(self.architecture).segments(self.module)

    def tensors(self) -> dict[str, Tensor]:
        return self.module.state_dict()
