"""Make a baseline of a network that other code trained."""

import hashlib
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core import paths
from core.baselines.recorded import recorded
from core.data.dataset import DataSet, subset_indices
from core.data.normalisation import KNOWN, Normalisation
from core.device import best_device
from core.errors import InputError, one_line
from core.measuring.evaluation import evaluate_fully
from core.measuring.outcome import Evaluation
from core.measuring.statistics import is_better_than_guessing, mcnemar
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.foreign import Fitted, fit, read, recognise, state_dict_in
from core.networks.metadata import provenance
from core.networks.network import Network
from core.networks.signature import Signature
from core.specs.architecture import Architecture

IMAGES_TO_TRY = 1000
SAME = 0.01
"""Normalisations whose paired test gives at least this p-value cannot be told apart; strict, since
the best of several is compared."""
MOST_BY_CHANCE = 0.5
"""A fraction of right answers that the best order of the classes does not reach by chance."""


@dataclass(frozen=True)
class Tried:
    """What one normalisation gave on training images."""

    name: str
    normalisation: Normalisation
    correct: int
    seen: int
    is_best: bool = False
    can_be_told_apart: bool = True  # from the best one

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "mean": self.normalisation.mean,
            "std": self.normalisation.std,
            "correct": self.correct,
            "seen": self.seen,
            "is_best": self.is_best,
            "can_be_told_apart": self.can_be_told_apart,
        }


@dataclass(frozen=True)
class Trying:
    """Progress: so many of the normalisations were tried."""

    done: int
    total: int


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
    original_name: str | None = None  # of the file, where `file` is a copy of an upload

    @property
    def source(self) -> str:
        """The file's own name."""
        return self.original_name or self.file.name

    def path(self, architecture: Architecture) -> Path:
        """Return where the baseline goes. Raises InputError for a name that is none."""
        usual = f"{architecture.name}-{self.dataset.name}-{Path(self.source).stem}"
        stem = re.sub(r"[^\w.-]+", "-", usual) if self.name is None else self.name
        if re.fullmatch(r"[\w.-]+", stem) is None or stem.startswith("."):
            raise InputError(
                f"A baseline's name has letters, digits, dots, - and _ only, not {stem!r}: "
                "choose another with --name."
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
    fitted = _fitted(request)
    path = request.path(fitted.network.architecture)
    checkpoint.refuse_to_overwrite(path, overwrite)
    if request.normalisation is not None:
        tried: tuple[Tried, ...] = ()
        network = _with_normalisation(fitted.network, request.normalisation)
    else:
        tried = yield from _try_normalisations(fitted.network, request.dataset, device)
        best = next(each for each in tried if each.is_best)
        network = _with_normalisation(fitted.network, best.normalisation)
    notes = list(fitted.notes)
    notes += _check_classes(network, request.dataset, device)
    metadata: dict[str, Any] = {
        "kind": "baseline",
        **recorded(network, request.dataset, device),
        "imported": {
            "file": request.source,
            "sha256": _sha256(request.file),
            "notes": list(fitted.notes),
            "said": dict(fitted.said),
            "normalisations": [each.to_json() for each in tried],
        },
        **provenance(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(network, path, request.dataset.name, metadata, overwrite)
    yield Imported(checkpoint.load(path, request.dataset.name), tried, tuple(notes))


def _fitted(request: ImportRequest) -> Fitted:
    data = request.dataset
    signature = Signature(
        request.architecture or Architecture(),
        data.classes,
        data.image_size,
        request.normalisation or data.normalisation,
    )
    try:
        stored = state_dict_in(read(request.file))
        return fit(stored, signature) if request.architecture else recognise(stored, signature)
    except InputError as error:  # name the file as the person knows it, not the copy of an upload
        raise InputError(str(error).replace(request.file.name, request.source)) from error
    except Exception as error:  # tensors can be inconsistent in more ways than can be listed
        raise InputError(f"{request.source} cannot be used ({one_line(error)}).") from error


def _with_normalisation(network: Network, normalisation: Normalisation) -> Network:
    return replace(network, signature=replace(network.signature, normalisation=normalisation))


def _try_normalisations(
    network: Network, dataset: DataSet, device: torch.device
) -> Generator[Trying, None, tuple[Tried, ...]]:
    """Evaluate with each known normalisation on seeded training images.

    The most correct answers win, then the lower loss. Test images are not used, because they judge
    the result.
    """
    images, labels = _training_images(dataset)
    candidates = dict(KNOWN)
    if dataset.normalisation not in candidates.values():
        candidates = {dataset.name: dataset.normalisation, **candidates}
    found: dict[str, Evaluation] = {}
    for name, normalisation in candidates.items():
        yield Trying(len(found), len(candidates))
        tried = _with_normalisation(network, normalisation)
        found[name] = evaluate_fully(tried, images, labels, device=device)
    yield Trying(len(found), len(candidates))
    best = max(found, key=lambda name: (found[name].correct, -found[name].loss_sum))
    return tuple(
        Tried(
            name,
            candidates[name],
            each.correct,
            each.seen,
            is_best=name == best,
            can_be_told_apart=mcnemar(found[best].is_right, each.is_right).p_value < SAME,
        )
        for name, each in found.items()
    )


def _training_images(dataset: DataSet) -> tuple[Tensor, Tensor]:
    size = min(IMAGES_TO_TRY, len(dataset.train_labels))
    chosen = subset_indices(dataset.train_labels, size)
    return dataset.train_images[chosen], dataset.train_labels[chosen]


def _check_classes(network: Network, dataset: DataSet, device: torch.device) -> list[str]:
    """Return what looks wrong; raise InputError if the classes are in another order."""
    images, labels = _training_images(dataset)
    found = evaluate_fully(network, images, labels, device=device)
    if is_better_than_guessing(found.correct, found.seen, dataset.classes):
        return []
    order, right = _best_order(found, dataset.classes)
    if right > MOST_BY_CHANCE * found.seen:
        first = [f"{dataset.class_names[ours]} is its class {order[ours]}" for ours in range(3)]
        raise InputError(
            f"The network's classes are in another order than the data set's: {', '.join(first)} "
            f"and so on, by which {right:,} of {found.seen:,} training images are right. Reorder "
            "the rows of its last layer, or the folders of the images."
        )
    return [
        f"It is right about {found.correct:,} of {found.seen:,} training images, which is not told "
        "apart from guessing: it was trained for other images, or computes something else than "
        f"{network.architecture} with these weights."
    ]


def _best_order(found: Evaluation, classes: int) -> tuple[np.ndarray, int]:
    """Return the class of the network that fits each class best, and how many are then right."""
    from scipy.optimize import linear_sum_assignment  # a local import: it takes most of a second

    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (found.labels, found.predictions), 1)
    ours, theirs = linear_sum_assignment(counts, maximize=True)
    return theirs, int(counts[ours, theirs].sum())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
