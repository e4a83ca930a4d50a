"""Make a baseline of a network that other code trained."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core import paths
from core.baselines.recorded import recorded
from core.baselines.trying import (
    Tried,
    Trying,
    best_network,
    check_answers,
    try_normalisations,
    with_normalisation,
)
from core.data.dataset import DataSet
from core.data.normalisation import Normalisation
from core.device import best_device
from core.errors import InputError, one_line
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.foreign import Fitted, fit, namesakes, read, recognise, state_dict_in
from core.networks.metadata import provenance
from core.networks.signature import Signature
from core.specs.architecture import Architecture

LONGEST_NAME = 100


@dataclass(frozen=True, eq=False)
class Imported:
    """The baseline that was written, and what a person should know of it."""

    checkpoint: Checkpoint
    tried: tuple[Tried, ...]  # empty where the normalisation was given
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ImportRequest:
    """A file to import, and what the person says of it."""

    file: Path
    dataset: DataSet
    architecture: Architecture | None = None  # None: recognise it
    normalisation: Normalisation | None = None  # None: try those that are known
    name: str | None = None  # of the baseline; None: from the file's name
    entry: str | None = None  # the keys to the tensors in the file; None: the likeliest

    def path(self, architecture: Architecture) -> Path:
        """Return where the baseline goes. Raises InputError for a name that is none."""
        usual = f"{architecture.name}-{self.dataset.name}-{self.file.stem}"
        stem = re.sub(r"[^\w.-]+", "-", usual)[:LONGEST_NAME] if self.name is None else self.name
        if re.fullmatch(r"[\w-][\w.-]*", stem) is None or len(stem.encode()) > 2 * LONGEST_NAME:
            raise InputError(
                f"A baseline's name has up to {LONGEST_NAME} letters, digits, dots, - and _, not "
                f"{stem[: LONGEST_NAME + 10]!r}: choose another."
            )
        return paths.CHECKPOINTS / paths.LOCAL / f"{stem}.safetensors"


def import_baseline(
    request: ImportRequest, overwrite: bool = False, device: torch.device | None = None
) -> Iterator[Trying | Imported]:
    """Read a file, find its architecture and normalisation, and save it as a baseline.

    Nothing is written before all of it has succeeded. Raises InputError for a file that is damaged
    or holds more than numbers, one that fits no architecture, or one that does not fit the data
    set.
    """
    device = device or best_device()
    if request.name is not None:  # refused at once, not after the network was tried
        checkpoint.refuse_to_overwrite(request.path(Architecture()), overwrite)
    fits, digest = _fits(request)
    fitted, notes = yield from best_network(fits, request.dataset, device)
    path = request.path(fitted.network.architecture)
    checkpoint.refuse_to_overwrite(path, overwrite)
    if request.normalisation is not None:
        tried: tuple[Tried, ...] = ()
        network = fitted.network
    else:
        tried = yield from try_normalisations(fitted.network, request.dataset, device)
        best = next(each for each in tried if each.is_best)
        network = with_normalisation(fitted.network, best.normalisation)
    notes = [*fitted.notes, *notes]
    metadata: dict[str, Any] = {
        "kind": "baseline",
        **recorded(network, request.dataset, device),
        "imported": {
            "file": request.file.name,
            "sha256": digest,
            "notes": notes,
            "said": dict(fitted.said),
            "normalisations": [each.to_json() for each in tried],
        },
        **provenance(),
    }
    doubts = check_answers(network, fitted.said, request.dataset, device)
    checkpoint.save(network, path, request.dataset.name, metadata, overwrite)
    made = checkpoint.load(path, request.dataset.name)
    yield Imported(made, tried, (*notes, *doubts))


def _fits(request: ImportRequest) -> tuple[list[Fitted], str]:
    """Return the networks that take a file's tensors, the likeliest first, and the file's hash."""
    data = request.dataset
    signature = Signature(
        request.architecture or Architecture(),
        data.classes,
        data.image_size,
        request.normalisation or data.normalisation,
    )
    try:
        stored = state_dict_in(read(request.file), request.entry)
        digest = _sha256(request.file)
        if request.architecture is not None:
            return [fit(stored, signature)], digest
        likeliest = recognise(stored, signature)
        return [likeliest, *namesakes(stored, likeliest)], digest
    except InputError:
        raise
    except Exception as error:  # tensors can be inconsistent in more ways than can be listed
        raise InputError(f"{request.file.name} cannot be used ({one_line(error)}).") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
