"""Find the tensors of a network in what a file holds, and give them plain names."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.errors import InputError

WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "state_dict_ema",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "ema",
    "model_ema",
)
"""Keys under which files keep a network's tensors, best first."""
DEEPEST_WRAPPER = 3
MOST_TENSORS, LONGEST_NAME = 20_000, 500
EPOCHS = ("epoch", "epochs")
SAID = (*EPOCHS, "best_prec1", "best_acc", "best_acc1", "acc", "acc1", "accuracy", "top1")
"""Entries beside the tensors that are worth showing."""


@dataclass(frozen=True)
class Stored:
    """The tensors of a file by the names in it, in its order, and what was done to them."""

    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()  # sentences such as "The tensors were found under state_dict."
    said: Mapping[str, float] = field(default_factory=dict)  # accuracy and epoch, as the file says


def state_dict_in(content: Any, entry: str | None = None) -> Stored:
    """Find a network's tensors in a file's content, and fold masks and normalised weights.

    `entry` is the path of keys to them, such as "model_ema"; None: the likeliest. Raises InputError
    if there are no named tensors, or some are not numbers.
    """
    key, found, others = _find(content, entry)
    if not all(name.isprintable() for name in found):
        raise InputError("Tensors of the file have names with control characters: rename them.")
    longest = max(map(len, found))
    if len(found) > MOST_TENSORS or longest > LONGEST_NAME:
        raise InputError(
            f"The file holds {len(found):,} tensors with names of up to {longest:,} letters: no "
            f"network has more than {MOST_TENSORS:,} of {LONGEST_NAME:,}."
        )
    notes = [f"The tensors were found under {key}."] if key else []
    if others:
        notes.append(f"Not taken were those under {', '.join(others)}.")
    said = _said(content)
    tensors = {name: _at_least_fp32(each) for name, each in found.items()}
    for fold in (_fold_masks, _fold_weight_norm, _fold_spectral_norm):
        tensors, note = fold(tensors)
        notes += [note] if note else []
    for name, tensor in tensors.items():
        if tensor.is_complex():
            raise InputError(f"{name} holds complex numbers, which no layer here has.")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(
                f"{name} holds numbers that are not finite (NaN or infinite), so the training has "
                "failed: choose an earlier checkpoint."
            )
    return Stored(tensors, tuple(notes), said)


def _find(content: Any, entry: str | None) -> tuple[str, Mapping[str, Tensor], list[str]]:
    """Return the path of keys to named tensors, these, and the paths to others like them."""
    found = dict(_dictionaries(content, "", DEEPEST_WRAPPER, set()))
    if not found:
        raise InputError(
            "The file holds no tensors by name: save the network's state_dict, "
            "torch.save(network.state_dict(), FILE)."
        )

    def rank(path: str) -> tuple[int, int]:
        last = path.rpartition(".")[2]
        known = WRAPPERS.index(last) if last in WRAPPERS else len(WRAPPERS)
        return (known, -len(found[path]))

    if entry is not None and entry not in found:
        raise InputError(
            f"The file holds no tensors by name under {entry!r}, but under "
            f"{', '.join(path or 'no key' for path in found)}."
        )
    taken = min(found, key=rank) if entry is None else entry
    alike = [path for path in found if path != taken and len(found[path]) * 2 > len(found[taken])]
    return taken, found[taken], [path for path in alike if path.isprintable()]


def _dictionaries(
    content: Any, path: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    if not isinstance(content, dict):
        return
    last = path.rpartition(".")[2]
    if last == "optim" or last.startswith(("optimizer", "optimiser")):  # its buffers are tensors
        return
    if id(content) in seen:
        return
    seen.add(id(content))
    tensors = {name: each for name, each in content.items() if isinstance(each, Tensor)}
    if any(isinstance(name, str) and tensor.ndim >= 2 for name, tensor in tensors.items()):
        yield path, {name: each for name, each in tensors.items() if isinstance(name, str)}
    if depth:
        for name, each in content.items():
            if isinstance(name, str):
                yield from _dictionaries(each, f"{path}.{name}".strip("."), depth - 1, seen)


def _said(content: Any) -> dict[str, float]:
    """Return numbers that the file says of its training."""
    if not isinstance(content, dict):
        return {}
    said = {}
    for name in SAID:
        value = content.get(name)
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6:
            said[name] = float(value)
    return said


def _at_least_fp32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _fold_masks(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Multiply what torch.nn.utils.prune keeps: the original weights and their mask."""
    masked = [name.removesuffix("_mask") for name in tensors if name.endswith("_mask")]
    masked = [name for name in masked if f"{name}_orig" in tensors]

    def weight(name: str) -> Tensor:
        original, mask = tensors[f"{name}_orig"], tensors[f"{name}_mask"]
        if original.shape != mask.shape:
            raise InputError(f"{name}_mask has another shape than {name}_orig. Get the file again.")
        return original * mask.to(original.dtype)

    folded = _replaced(tensors, masked, ("_orig", "_mask"), weight)
    return folded, f"Masks of pruning were applied to {len(masked):,} tensors." if masked else ""


def _fold_weight_norm(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Multiply out weight normalisation (Salimans and Kingma, 2016), in both of torch's forms."""
    new = ".parametrizations.weight.original"
    old_layers = [name.removesuffix("_g") for name in tensors if name.endswith("weight_g")]
    old_layers = [name for name in old_layers if f"{name}_v" in tensors]
    new_layers = [name.removesuffix(f"{new}0") for name in tensors if name.endswith(f"{new}0")]
    new_layers = [name for name in new_layers if f"{name}{new}1" in tensors]
    folded = _replaced(
        tensors,
        old_layers,
        ("_g", "_v"),
        lambda name: _normed(tensors[f"{name}_g"], tensors[f"{name}_v"]),
    )
    for layer in new_layers:
        magnitude, direction = folded.pop(f"{layer}{new}0"), folded.pop(f"{layer}{new}1")
        folded[f"{layer}.weight"] = _normed(magnitude, direction)
    count = len(old_layers) + len(new_layers)
    return folded, f"Weight normalisation was folded into {count:,} layers." if count else ""


def _normed(magnitude: Tensor, direction: Tensor) -> Tensor:
    """Return magnitude · direction / norm, with one norm for each entry of the magnitude."""
    if magnitude.numel() == 1:
        magnitude = magnitude.reshape((1,) * direction.ndim)
    summed = [dim for dim, size in enumerate(magnitude.shape) if size == 1]
    norm: Tensor = torch.linalg.vector_norm(direction, dim=summed, keepdim=True)
    return magnitude * direction / norm


def _fold_spectral_norm(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Divide by the largest singular value (Miyato et al., 2018), as torch estimates it."""
    old_layers = [name.removesuffix("_u") for name in tensors if name.endswith("weight_u")]
    old_layers = [name for name in old_layers if f"{name}_orig" in tensors]
    folded = _replaced(
        tensors,
        old_layers,
        ("_orig", "_u", "_v"),
        lambda name: _divided(tensors[f"{name}_orig"], tensors[f"{name}_u"], tensors[f"{name}_v"]),
    )
    new = ".parametrizations.weight."
    new_layers = [name.removesuffix(f"{new}0._u") for name in folded if name.endswith(f"{new}0._u")]
    for layer in new_layers:
        weight, u, v = (folded.pop(f"{layer}{new}{part}") for part in ("original", "0._u", "0._v"))
        folded[f"{layer}.weight"] = _divided(weight, u, v)
    count = len(old_layers) + len(new_layers)
    return folded, f"Spectral normalisation was folded into {count:,} layers." if count else ""


def _divided(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return weight / torch.dot(u, weight.flatten(1) @ v)


def _replaced(
    tensors: dict[str, Tensor],
    names: list[str],
    suffixes: tuple[str, ...],
    weight: Callable[[str], Tensor],
) -> dict[str, Tensor]:
    """Return the tensors with one weight in place of each name's parts."""
    parts = {f"{name}{suffix}" for name in names for suffix in suffixes}
    left = {name: tensor for name, tensor in tensors.items() if name not in parts}
    return left | {name: weight(name) for name in names}
