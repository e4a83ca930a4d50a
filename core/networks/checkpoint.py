"""Checkpoints: a network in one safetensors file with its weights, architecture and provenance.

Weights are stored in fp16, batch-norm tensors in fp32; in memory all are fp32. The network is built
from the registered name of its architecture, and each layer gets the shape of its stored tensor, so
a pruned network needs no extra description.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from core.data.normalisation import CIFAR10, CIFAR10_IMAGE_SIZE, Normalisation
from core.errors import InputError
from core.files import written_atomically, written_once
from core.networks.metadata import unusable_entry
from core.networks.network import Network
from core.networks.registry import build_on_meta, fill_in_constants, registered
from core.networks.signature import Signature
from core.networks.sizes import take_shapes
from core.specs.architecture import Architecture

FORMAT = "pruning-explorer-1"
DEFAULT_CLASSES = 10
"""Classes in files that do not record them; all of those were trained on CIFAR-10 or the digits."""
MOST_CLASSES, LARGEST_IMAGE, LARGEST_STATISTIC = 2**16, 1024, 1e6
"""Largest values accepted from a file: classes, image side in pixels, mean or std."""
FOREIGN_FILES = {
    b"PK\x03\x04": " but a zip archive, as torch.save writes them",
    **{
        b"\x80" + bytes([protocol]): " but a pickle, as older versions of PyTorch wrote them"
        for protocol in range(2, 6)
    },
    b"\x89HDF": " but an HDF5 file",
}
"""Descriptions of other weight files, by their first bytes."""


class CheckpointError(InputError):
    """The file is not a checkpoint of this project, or not the requested one."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a file. The network is built on first use; never modify its weights."""

    signature: Signature
    stored: Mapping[str, Tensor]  # the tensors with the types of the file
    dataset: str
    metadata: Mapping[str, Any]  # as passed to `save`: recipe, seed, accuracy, history, ...
    path: Path

    @cached_property
    def network(self) -> Network:
        """The network, with weights in fp32. Raises CheckpointError if the tensors do not fit."""
        with _described(self.path):
            network = assemble(self.signature, self.stored)
        if not all(torch.isfinite(tensor).all() for tensor in network.tensors().values()):
            raise CheckpointError(
                f"{self.path} holds weights that are not finite numbers. Get it again."
            )
        return network

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of the tensors, independent of the metadata."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.stored.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def data_fingerprint(self) -> str:
        """The fingerprint of the data that a baseline was evaluated on; of other networks ""."""
        recorded = self.metadata.get("data")
        found = recorded.get("fingerprint") if isinstance(recorded, dict) else None
        return found if isinstance(found, str) else ""


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the model's tensors as stored on disk: fp16, but fp32 for batch-norm layers."""
    dtypes = _stored_dtypes(model)
    return {
        name: tensor.to(dtypes[name]).cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }


def stored_bytes(model: nn.Module) -> int:
    """Return the size of `stored_tensors` in bytes; a file's header adds about 10 kB."""
    dtypes = _stored_dtypes(model)
    return sum(
        tensor.numel() * dtypes[name].itemsize for name, tensor in model.state_dict().items()
    )


def _stored_dtypes(model: nn.Module) -> dict[str, torch.dtype]:
    batch_norms = {
        name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)
    }
    return {
        name: tensor.dtype
        if name.rpartition(".")[0] in batch_norms or not tensor.is_floating_point()
        else torch.float16
        for name, tensor in model.state_dict().items()
    }


def to_bytes(model: nn.Module) -> bytes:
    """Return the content of a checkpoint file without metadata."""
    return serialise(stored_tensors(model))


def save(
    network: Network,
    path: Path,
    dataset: str,
    metadata: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write a checkpoint file atomically.

    Raises CheckpointError if `path` exists and `overwrite` is not set, if the folder cannot be
    written, or if a number is not finite or too large for half precision.
    """
    refuse_to_overwrite(path, overwrite)
    content = file_content(network, dataset, metadata)
    try:
        with (written_atomically if overwrite else written_once)(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            raise _exists(path) from error
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror}). Choose another place."
        ) from error


def file_content(network: Network, dataset: str, metadata: Mapping[str, Any]) -> bytes:
    """Return the content of a checkpoint file.

    Raises CheckpointError if a number is not finite or too large for half precision.
    """
    stored = stored_tensors(network.module)
    for name, tensor in stored.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(
                f"The checkpoint was not written: {name} holds numbers that are not finite, or "
                "larger than the 65,504 that the file's half precision can hold."
            )
    header = {
        **metadata,
        "format": FORMAT,
        "architecture": network.architecture.to_json(),
        "classes": network.classes,
        "image_size": network.signature.image_size,
        "mean": network.normalisation.mean,
        "std": network.normalisation.std,
        "dataset": dataset,
    }
    return serialise(stored, {name: json.dumps(value) for name, value in header.items()})


def refuse_to_overwrite(path: Path, overwrite: bool) -> None:
    """Raise CheckpointError if `path` exists and `overwrite` is not set."""
    if path.exists() and not overwrite:
        raise _exists(path)


def _exists(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} exists already. Choose another name, or replace it (--overwrite on the command "
        "line)."
    )


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata without the tensors. Raises CheckpointError as `load` does."""
    try:
        with safe_open(path, framework="pt") as file:
            raw = file.metadata() or {}
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no checkpoint {path}. Check the name.") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} {_what_is_wrong(path, error)}") from error
    try:
        metadata = {name: json.loads(value) for name, value in raw.items()}
    except (ValueError, RecursionError):  # not JSON, or huge numbers or nesting
        metadata = {}
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a safetensors file, but no checkpoint of this project: its metadata should "
            f"say format {FORMAT}."
        )
    try:
        registered(Architecture.from_json(metadata.get("architecture")))
    except InputError as error:
        raise CheckpointError(f"{path} cannot be built. {error}") from error
    return metadata


def _what_is_wrong(path: Path, error: Exception) -> str:
    """Describe an unreadable file by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as unreadable:
        return f"cannot be read ({unreadable.strerror}). Choose another file."
    # A safetensors file begins with the header's length (8 bytes) and "{".
    if len(start) < 9 or start.endswith(b"{"):
        return f"is a truncated or damaged safetensors file ({error}). Get it again."
    kind = next((kind for begin, kind in FOREIGN_FILES.items() if start.startswith(begin)), "")
    return (
        f"is no safetensors file{kind}: choose a checkpoint written by this project's train or "
        "prune."
    )


def load(path: Path, dataset: str | None = None) -> Checkpoint:
    """Read a file and build its network. Raises CheckpointError as `read` and `network` do."""
    checkpoint = read(path, dataset)
    assert checkpoint.network  # built here, so that a file that does not fit is refused here
    return checkpoint


def read(path: Path, dataset: str | None = None) -> Checkpoint:
    """Read a file's metadata and tensors, without building the network.

    The metadata of a file cannot make this use more memory than its tensors need. Raises
    CheckpointError for a missing, truncated or foreign file, or one trained on another data set
    than `dataset`.
    """
    metadata = read_metadata(path)
    entry = unusable_entry(metadata) if metadata.get("kind") == "baseline" else None
    if entry is not None:
        raise CheckpointError(
            f"{path} should be a baseline, but its metadata has no usable {entry}. Get it again."
        )
    trained_on = metadata.get("dataset")
    if dataset is not None and trained_on != dataset:
        raise CheckpointError(
            f"{path} was trained on {trained_on!r}, not on {dataset!r}: "
            "choose the data set it was trained on, or another checkpoint."
        )
    with _described(path):
        signature = Signature(
            registered(Architecture.from_json(metadata["architecture"])),
            _whole_number(metadata, "classes", DEFAULT_CLASSES, MOST_CLASSES),
            _whole_number(metadata, "image_size", CIFAR10_IMAGE_SIZE, LARGEST_IMAGE),
            _normalisation(metadata),
        )
        with safe_open(path, framework="pt") as file:
            # Clones, because the file's own tensors end with it, by a crash if it is truncated.
            stored = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    return Checkpoint(signature, stored, str(trained_on), MappingProxyType(metadata), path)


@contextmanager
def _described(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file's content into one CheckpointError."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, OverflowError, SafetensorError) as error:
        heading = "Error(s) in loading"  # torch's first line does not name the tensor
        lines = [line for line in str(error).splitlines() if not line.startswith(heading)]
        raise CheckpointError(
            f"{path} does not hold the network that its metadata describes: "
            f"{lines[0].strip(' .')}. Get it again."
        ) from error


def assemble(signature: Signature, stored: Mapping[str, Tensor]) -> Network:
    """Build on `meta`, adopt the stored shapes, check the output's shape, then load strictly.

    Raises InputError or RuntimeError if the tensors do not fit.
    """
    module = build_on_meta(signature).eval()
    _check_names(stored.keys(), module.state_dict().keys())
    take_shapes(module, {name: tensor.shape for name, tensor in stored.items()})
    logits = module(torch.empty(signature.example, device="meta"))
    if logits.shape != (1, signature.classes):
        raise InputError(
            f"its output has the shape {tuple(logits.shape[1:])}, not ({signature.classes},)"
        )
    tensors = {
        name: stored[name].to(expected.dtype, copy=True)
        for name, expected in module.state_dict().items()
    }
    module.load_state_dict(tensors, strict=True, assign=True)
    fill_in_constants(module, signature)
    module.requires_grad_(False)
    return Network.of(module, signature)


def _check_names(stored: Set[str], expected: Set[str]) -> None:
    for names, what in ((expected - stored, "is missing"), (stored - expected, "has no place")):
        if names:
            raise InputError(f"{min(names)} {what}")


def _whole_number(metadata: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = metadata.get(name, default)
    if type(value) is not int or not 1 <= value <= most:
        raise InputError(f"{name} should be a whole number from 1 to {most:,}")
    return value


def _normalisation(metadata: Mapping[str, Any]) -> Normalisation:
    if "mean" not in metadata and "std" not in metadata:
        return CIFAR10
    mean, std = _numbers(metadata, "mean"), _numbers(metadata, "std")
    if len(mean) != len(std) or min(std) <= 0:
        raise InputError("std should be a number above 0 for each colour of mean")
    return Normalisation(mean, std)


def _numbers(metadata: Mapping[str, Any], name: str) -> tuple[float, ...]:
    """Return a list of numbers: three for colours, or one for grey."""
    values = metadata.get(name)
    if (
        not isinstance(values, list)
        or len(values) not in (1, 3)
        or not all(
            isinstance(value, float | int) and abs(value) < LARGEST_STATISTIC for value in values
        )
    ):
        raise InputError(f"{name} should be a list of one or three numbers")
    return tuple(map(float, values))
