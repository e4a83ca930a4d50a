"""Find the architecture whose tensors have the names and shapes of a file's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.checkpoint import assemble
from core.networks.foreign.names import renamed
from core.networks.foreign.state import Stored
from core.networks.network import Network
from core.networks.registry import ARCHITECTURES, build_on_meta, entry
from core.networks.signature import Signature
from core.specs.architecture import Architecture

COUNTER = "num_batches_tracked"
HEADS_FOR_TRAINING = ("aux1.", "aux2.", "AuxLogits.")
"""Auxiliary classifiers of torchvision's networks, which only training uses."""
MOST_DIFFERENCES = 3


@dataclass(frozen=True, eq=False)
class Fitted:
    """A network that takes a file's tensors, and sentences on what was done for it."""

    network: Network
    notes: tuple[str, ...]
    said: Mapping[str, float]  # accuracy and epoch, as the file says


def recognise(stored: Stored, signature: Signature) -> Fitted:
    """Find the registered architecture that the tensors fit.

    Of `signature` everything but the architecture counts. Raises InputError if none fits; it names
    the nearest one and says in words what differs.
    """
    nearest: _MismatchError | None = None
    for architecture in _candidates():
        try:
            return fit(stored, replace(signature, architecture=architecture))
        except _MismatchError as mismatch:
            if nearest is None or mismatch.share > nearest.share:
                nearest = mismatch
    assert nearest is not None
    raise InputError(
        f"The file's names and shapes fit no architecture that is known here. {nearest} If you "
        "know which network it is, name it: one from here, torchvision:NAME, timm:NAME, or "
        "package.module:function for your own code."
    )


def _candidates() -> Iterator[Architecture]:
    for name, known in ARCHITECTURES.items():
        yield Architecture(name)
        for settings in known.variants:
            yield Architecture.of(name, settings)


def namesakes(stored: Stored, fitted: Fitted) -> Iterator[Fitted]:
    """Build the networks that compute something else with the same tensors."""
    signature = fitted.network.signature
    for architecture in entry(signature.architecture).namesakes:
        yield fit(stored, replace(signature, architecture=architecture))


class _MismatchError(InputError):
    """The tensors do not fit one architecture; `share` of the names do (0 to 1)."""

    def __init__(self, message: str, share: float):
        super().__init__(message)
        self.share = share


def fit(stored: Stored, signature: Signature) -> Fitted:
    """Build the network of a signature with a file's tensors.

    The names may be other ones that are customary; narrower layers take their stored shapes. Raises
    InputError that says in words what differs, or that the number of classes does.
    """
    known = entry(signature.architecture)
    module = build_on_meta(signature)
    expected: dict[str, Tensor] = dict(module.state_dict())
    tensors, notes = renamed(stored.tensors, expected)
    tensors, dropped = _without_heads(tensors, expected)
    tensors = known.complete(tensors)
    for name in expected.keys() - tensors.keys():
        if name.endswith(COUNTER):
            tensors[name] = torch.zeros((), dtype=torch.int64)
    differences = list(_differences(tensors, expected))
    if differences:
        common = [name for name in expected if name in tensors]
        share = len(common) / len(expected.keys() | tensors.keys())
        raise _MismatchError(_in_words(known.label, differences), share)
    _check_classes(module, tensors, signature)
    _check_numbers(tensors, expected)
    try:
        network = assemble(signature, {name: tensors[name] for name in expected})
    except (RuntimeError, ValueError) as error:
        lines = [line.strip(" .") for line in str(error).splitlines() if line.strip()]
        raise _MismatchError(
            f"Nearest is {known.label}, but its layers do not follow each other ({lines[-1]}).", 1.0
        ) from error
    return Fitted(network, (*stored.notes, *notes, *dropped), stored.said)


def _without_heads(
    tensors: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    heads = {
        name for name in tensors if name.startswith(HEADS_FOR_TRAINING) and name not in expected
    }
    left = {name: tensor for name, tensor in tensors.items() if name not in heads}
    note = f"Left out {len(heads):,} tensors of auxiliary heads, which only training uses."
    return left, (note,) if heads else ()


def _differences(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[str]:
    """Say which layers are missing, too many or of another kind; widths may differ."""
    for name, tensor in expected.items():
        if name not in tensors:
            continue
        shape, usual = tuple(tensors[name].shape), tuple(tensor.shape)
        layer = name.rpartition(".")[0]
        if len(shape) != len(usual):
            yield f"{name} has {len(shape)} dimensions, not {len(usual)}"
        elif shape[2:] != usual[2:] and len(shape) == 4:
            yield f"{layer} is {_kernel(shape)}, not {_kernel(usual)}{_meaning(layer, shape)}"
    missing = _by_part(expected.keys() - tensors.keys(), expected)
    added = _by_part(tensors.keys() - expected.keys(), tensors)
    if missing:
        yield f"it has no {_few(missing, added)}"
    if added:
        yield f"it has {_few(added, missing)} besides"


def _kernel(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape[2:]))


def _meaning(layer: str, shape: tuple[int, ...]) -> str:
    if shape[1] == 3 and min(shape[2:]) >= 7:
        return ": this is an ImageNet stem"
    if shape[1] == 3 and layer.startswith(("conv1", "features.0")):
        return ": this is another stem"
    return ""


def _by_part(names: Iterable[str], order: Iterable[str]) -> dict[str, list[str]]:
    """Return the names in network order, by their first part."""
    wanted = set(names)
    by_part: dict[str, list[str]] = {}
    for name in order:
        if name in wanted:
            by_part.setdefault(name.partition(".")[0], []).append(name)
    return by_part


def _few(by_part: dict[str, list[str]], other: dict[str, list[str]]) -> str:
    """Name the parts, or their layers or tensors where a coarser name would say too much."""
    found: list[str] = []
    for part, names in by_part.items():
        layers = dict.fromkeys(name.rpartition(".")[0] or name for name in names)
        if part in other:
            found += names
        else:
            found += [part] if len(layers) > 1 else layers
    shown, more = found[:MOST_DIFFERENCES], len(found) - MOST_DIFFERENCES
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _in_words(label: str, differences: list[str]) -> str:
    shown, more = differences[:MOST_DIFFERENCES], len(differences) - MOST_DIFFERENCES
    rest = f"; {more:,} more layers differ" if more > 0 else ""
    return f"Nearest is {label}, but in the file {'; '.join(shown)}{rest}."


def _check_numbers(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse numbers that load without a complaint and compute nonsense."""
    for name, usual in expected.items():
        if usual.is_floating_point() and not tensors[name].is_floating_point():
            raise InputError(
                f"{name} holds whole numbers without their scale, as a quantised network has: "
                "import the network before it was quantised."
            )
        if name.endswith("running_var") and (tensors[name] < 0).any():
            raise InputError(f"{name} holds negative variances: choose another checkpoint.")


def _check_classes(module: nn.Module, tensors: Mapping[str, Tensor], signature: Signature) -> None:
    """Compare the outputs of the last layer, which is the last linear one or convolution."""
    layers = [
        name
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and f"{name}.weight" in tensors
    ]
    last = next(
        (
            name
            for name in reversed(layers)
            if len(module.get_submodule(name).get_parameter("weight")) == signature.classes
        ),
        None,
    )
    if last is None:
        return
    classes = len(tensors[f"{last}.weight"])
    if classes != signature.classes:
        raise InputError(
            f"The network tells {classes:,} classes apart (by {last}), but the data set has "
            f"{signature.classes:,}: choose the data set that it was trained on."
        )
