"""The registry of architectures by name.

To add one, write a function that builds it from a signature and one that writes its code, and add
both to ARCHITECTURES. A prefix names the networks of others: torchvision:NAME, timm:NAME, and
package.module:function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import InputError, one_line
from core.networks.architectures import elsewhere, mobilenet, resnet, small_resnet, vgg
from core.networks.meta import meta_copy, tensors_of
from core.networks.segments import Segment, whole
from core.networks.signature import Signature
from core.networks.source import Source
from core.specs.architecture import Architecture


@dataclass(frozen=True)
class Entry:
    """An architecture: how to build it and what is known of it."""

    label: str
    build: Callable[..., nn.Module]  # takes the signature, and the settings by name
    segments: Callable[[nn.Module], tuple[Segment, ...]] = whole
    width: int | None = None  # channels of the first convolution; None if it cannot be scaled
    last_norm: str | None = None  # the last batch-norm of a residual block, by its name within it
    complete: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict
    """Adds constants that other implementations do not store."""
    initialises_itself: bool = False  # its builder sets the weights of a new network
    variants: tuple[Mapping[str, Any], ...] = ()
    """Other settings, with tensors of other names or shapes."""
    namesakes: tuple[Architecture, ...] = ()
    """Architectures that compute something else with tensors of the same names and shapes."""
    source: Callable[..., Source] | None = None
    """Writes the code that builds it without this project; takes the same as `build`."""


ARCHITECTURES: Mapping[str, Entry] = {
    **{
        name: Entry(
            label,
            build,
            resnet.segments,
            64,
            last_norm,
            namesakes=(Architecture.of(name, {"pool": "max"}),),
            source=resnet.source(name),
        )
        for name, label, build, last_norm in (
            ("resnet18", "ResNet-18", resnet.resnet18, "bn2"),
            ("resnet34", "ResNet-34", resnet.resnet34, "bn2"),
            ("resnet50", "ResNet-50", resnet.resnet50, "bn3"),
        )
    },
    **{
        f"resnet{depth}": Entry(
            f"ResNet-{depth}",
            small_resnet.small_resnet(depth),
            small_resnet.segments,
            16,
            "bn2",
            small_resnet.with_zeros,
            variants=({"shortcut": "conv"},),
            source=small_resnet.source(depth),
        )
        for depth in (20, 32, 44, 56)
    },
    **{
        name: Entry(
            label,
            build,
            vgg.segments,
            64,
            variants=({"head": "mlp"},),
            source=vgg.source(name),
        )
        for name, label, build in (
            ("vgg11", "VGG-11", vgg.vgg11),
            ("vgg16", "VGG-16", vgg.vgg16),
        )
    },
    "mobilenet_v2": Entry(
        "MobileNetV2",
        mobilenet.mobilenet_v2,
        mobilenet.segments,
        32,
        namesakes=(Architecture("torchvision:mobilenet_v2"),),
        source=mobilenet.source,
    ),
}

ELSEWHERE: Mapping[str, Callable[[str], elsewhere.Build]] = {
    "torchvision": elsewhere.torchvision_model,
    "timm": elsewhere.timm_model,
}
SOURCES: Mapping[str, Callable[[str], Callable[[Signature], Source]]] = {
    "torchvision": elsewhere.torchvision_source,
    "timm": elsewhere.timm_source,
}

OLD_NAMES = {"resnet18-cifar": "resnet18"}
"""Names used in old checkpoint files."""


def is_own_code(architecture: Architecture) -> bool:
    """Return whether the name is that of a person's own function."""
    library, separator, _ = architecture.name.partition(":")
    return bool(separator) and library not in ELSEWHERE


def entry(architecture: Architecture) -> Entry:
    """Return the entry of an architecture.

    Raises InputError for an unknown name, or one of own code that was not allowed.
    """
    name = OLD_NAMES.get(architecture.name, architecture.name)
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if ":" not in name:
        raise InputError(
            f"There is no architecture {architecture.name!r}: choose {', '.join(ARCHITECTURES)}, "
            "torchvision:NAME, timm:NAME or package.module:function."
        )
    library, _, model = name.partition(":")
    if is_own_code(architecture):
        builder, source = elsewhere.own_code(name), elsewhere.own_source(name)
    else:
        builder, source = ELSEWHERE[library](model), SOURCES[library](model)
    return Entry(name, builder, initialises_itself=True, source=source)


def registered(architecture: Architecture) -> Architecture:
    """Return the architecture with its current name; see `entry` for what is not checked."""
    name = OLD_NAMES.get(architecture.name, architecture.name)
    if ":" not in name:
        entry(architecture)
    return Architecture(name, architecture.settings)


def build(signature: Signature) -> nn.Module:
    """Build the network at full width on the CPU, initialised by its builder.

    Raises InputError for an unknown name or setting, and if the builder fails.
    """
    try:
        return _built(signature)
    except InputError:
        raise
    except Exception as error:  # what others wrote can raise anything
        raise InputError(
            f"The architecture {signature.architecture} cannot be built ({one_line(error)})."
        ) from error


def build_on_meta(signature: Signature) -> nn.Module:
    """Build the network at full width on `meta`, without weights. Raises InputError as `build`."""
    try:
        with torch.device("meta"):
            return _built(signature)
    except InputError:
        raise
    except Exception:  # noqa: BLE001 a builder that computes with numbers, which meta has not
        return meta_copy(build(signature))


def fill_in_constants(module: nn.Module, signature: Signature) -> None:
    """Give a module built on `meta` the tensors that its builder computes and no file stores."""
    if not any(tensor.is_meta for tensor in tensors_of(module)):
        return
    built = dict(build(signature).named_modules())
    for name, layer in module.named_modules():
        for own in [*layer._buffers, *vars(layer)]:
            tensor = getattr(layer, own)
            if isinstance(tensor, Tensor) and tensor.is_meta:
                setattr(layer, own, getattr(built[name], own))


def _built(signature: Signature) -> nn.Module:
    architecture = signature.architecture
    module = entry(architecture).build(signature, **dict(architecture.settings))
    if not isinstance(module, nn.Module):
        raise InputError(
            f"{architecture} gives a {type(module).__name__}, not a torch.nn.Module: return the "
            "network itself."
        )
    return module
