"""Load a baseline from its checkpoint, or train it once and save it."""

import errno
import json
import os
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import torch
from safetensors import SafetensorError

from core import paths
from core.baselines.recorded import recorded
from core.baselines.request import Request, epochs_in_all
from core.device import best_device
from core.errors import InputError
from core.files import written_atomically
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.metadata import provenance
from core.specs.vocabulary import is_folder
from core.training import EpochEnd, History, Recipe, Split, Step, train

SECONDS_BETWEEN_CHECKS = 0.5
START_FIELDS = ("recipe", "seed", "held_out", "teachers", "started_from")
"""Metadata about the baseline that training started from, besides its weights."""


@dataclass(frozen=True)
class Waiting:
    """Another process trains the same baseline; `step` is its progress, if known."""

    step: Step | None


def obtain(
    request: Request,
    out: Path | None = None,
    overwrite: bool = False,
    folder: Path | None = None,
    device: torch.device | None = None,
) -> Iterator[Step | EpochEnd | Waiting | Checkpoint]:
    """Load or train a baseline; the last event is the Checkpoint, read back from its file.

    If several processes request the same baseline, one trains; the others wait and pass on its
    progress. A killed training resumes from where it was last saved. `out` is the path to write;
    if the file exists, it is loaded unless `overwrite` is set. Raises CheckpointError, leaving the
    file alone, if it holds another baseline. `device` defaults to the best one.
    """
    folder = folder or paths.CHECKPOINTS
    name = request.file_name()
    local = folder / paths.LOCAL
    places = [out] if out is not None else [folder / name, local / name]
    existing = next((path for path in places if path.exists()), None)
    if existing is not None and not overwrite:
        yield _checked(existing, request)
        return
    path = out or local / name
    working = local / "training" / request.working_name()
    for needed in (working.parent, path.parent):
        _make_writable(needed)
    progress_file = working.with_suffix(".progress.json")
    lock = filelock.FileLock(working.with_suffix(".lock"))
    try:
        waited = yield from _acquire(lock, progress_file)
        if path.exists() and (waited or not overwrite):
            yield _checked(path, request)
            return
        yield from _train_and_save(
            request, path, overwrite, working, progress_file, device or best_device()
        )
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"Training stopped: {working.parent} cannot be written ({error}). Free disk space and "
            "start it again: it resumes from where it was last saved."
        ) from error
    finally:
        if lock.is_locked:
            progress_file.unlink(missing_ok=True)
            lock.release()
    yield _checked(path, request)


def _make_writable(folder: Path) -> None:
    """Create a folder. Raise InputError now, not after the training, if it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}), so a baseline cannot be trained. "
            "Make the folder writable, or choose another place with --out."
        ) from error


def _acquire(lock: filelock.BaseFileLock, progress_file: Path) -> Generator[Waiting, None, bool]:
    """Acquire the lock; while another process holds it, yield that process's progress.

    Return whether it had to wait.
    """
    waited = False
    while True:
        try:
            lock.acquire(timeout=SECONDS_BETWEEN_CHECKS if waited else 0)
            return waited
        except filelock.Timeout:
            waited = True
            yield Waiting(_read_progress(progress_file))


def _read_progress(path: Path) -> Step | None:
    try:
        return Step(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _train_and_save(
    request: Request,
    path: Path,
    overwrite: bool,
    working: Path,
    progress_file: Path,
    device: torch.device,
) -> Iterator[Step | EpochEnd]:
    split = Split.holding_out(request.dataset, request.held_out)
    network = request.plan.build(request.seed)
    if request.start is not None:
        network.module.load_state_dict(request.start.network.tensors())
    history = History()
    resume_file = working.with_suffix(".resume")
    teachers = [teacher.network for teacher in request.teachers]
    for event in train(
        network,
        split,
        request.recipe,
        request.seed,
        history,
        resume_file,
        device,
        teachers=teachers,
        epochs_before=epochs_in_all(request.start.metadata) if request.start else 0,
    ):
        if isinstance(event, Step):
            with written_atomically(progress_file) as temporary:
                temporary.write_text(json.dumps(asdict(event)))
        yield event
    metadata: dict[str, Any] = {
        "kind": "baseline",
        "epochs": request.recipe.epochs,
        "recipe": request.recipe.to_json(),
        "seed": request.seed,
        "held_out": request.held_out,
        "started_from": _started_from(request),
        "teachers": _teachers(request),
        **recorded(network, request.dataset, device),
        "history": asdict(history),
        **provenance(),
    }
    network.module.cpu()
    checkpoint.save(network, path, request.dataset.name, metadata, overwrite)
    resume_file.unlink(missing_ok=True)


def _started_from(request: Request) -> dict[str, Any] | None:
    """Describe the weights training started from, and recursively how those were trained."""
    if request.start is None:
        return None
    start = request.start
    return {
        "fingerprint": start.fingerprint,
        "epochs": epochs_in_all(start.metadata),
        **{name: start.metadata.get(name) for name in START_FIELDS},
    }


def _teachers(request: Request) -> list[str] | None:
    """Return the teachers' fingerprints; None for training on labels, as in older files."""
    return [each.fingerprint for each in request.teachers] or None


def _checked(path: Path, request: Request) -> Checkpoint:
    loaded = checkpoint.load(path, request.dataset.name)
    asked_for = {
        "kind": "baseline",
        "epochs": request.recipe.epochs,
        "seed": request.seed,
        "held_out": request.held_out,
        "teachers": _teachers(request),
    }
    differs = any(loaded.metadata.get(name) != value for name, value in asked_for.items())
    start = request.start.fingerprint if request.start else None
    # Other data sets are known by their names, whichever copy of them was used.
    is_of_other_images = is_folder(request.dataset.name) and (
        loaded.metadata["data"]["fingerprint"] != request.dataset.fingerprint
    )
    if (
        differs
        or is_of_other_images
        or (loaded.metadata.get("started_from") or {}).get("fingerprint") != start
        or not request.describes(loaded.network)
        or Recipe.from_json(loaded.metadata.get("recipe", {})) != request.recipe
    ):
        raise checkpoint.CheckpointError(
            f"{path} holds another network, or one of another recipe or of other images, than the "
            "requested baseline. "
            "Use another seed or move the file away; on the command line, choose another file "
            "with --out, or replace it with --overwrite."
        )
    return loaded
