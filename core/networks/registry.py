"""The registry of architectures by name.

To add one, write a function that builds it for a number of classes, and add it to ARCHITECTURES.
Functions that use torchvision import it when they are called, since that takes over a second and
stored results need no network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from core.errors import InputError
from core.networks import resnet
from core.networks.segments import Segment, whole
from core.networks.signature import Signature
from core.specs.architecture import Architecture


@dataclass(frozen=True)
class Entry:
    label: str
    build: Callable[..., nn.Module]  # takes the number of classes and the settings
    segments: Callable[[nn.Module], tuple[Segment, ...]] = whole
    last_norm: str | None = None  # the last batch-norm of a residual block, by its name within it


ARCHITECTURES: Mapping[str, Entry] = {
    "resnet18": Entry("ResNet-18", resnet.resnet18, resnet.segments, "bn2"),
}

OLD_NAMES = {"resnet18-cifar": "resnet18"}
"""Names used in old checkpoint files."""


def entry(architecture: Architecture) -> Entry:
    """Return the entry of an architecture. Raises InputError if the name is not registered."""
    name = OLD_NAMES.get(architecture.name, architecture.name)
    if name not in ARCHITECTURES:
        raise InputError(
            f"There is no architecture {architecture.name!r}: choose {', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[name]


def registered(architecture: Architecture) -> Architecture:
    """Return the architecture with its current name. Raises InputError if it is not registered."""
    entry(architecture)
    name = OLD_NAMES.get(architecture.name, architecture.name)
    return Architecture(name, architecture.settings)


def build_on_meta(signature: Signature) -> nn.Module:
    """Build the network at full width on `meta`, without weights.

    Raises InputError for an unknown name or setting.
    """
    architecture = signature.architecture
    build = entry(architecture).build
    try:
        with torch.device("meta"):
            return build(signature.classes, **dict(architecture.settings))
    except TypeError as error:
        raise InputError(f"The architecture {architecture} cannot be built ({error}).") from error
