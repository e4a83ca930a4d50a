"""Fine-tuned networks: each is trained once, kept as a checkpoint, and measured as kept."""

import glob
import hashlib
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import filelock
from safetensors import SafetensorError

from core import paths
from core.errors import InputError
from core.evidence import Evidence
from core.networks import checkpoint
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.networks.metadata import provenance
from core.networks.network import Network
from core.pruning import Pruned
from core.recovery.gradual import file_between
from core.recovery.recover import recover
from core.specs.point import Point
from core.sweeps.stopwatch import Stopwatch

FOLDER = "tuned"


def tuned(
    pruned: Pruned, point: Point, baseline: Checkpoint, evidence: Evidence
) -> Generator[Recovering, None, Network]:
    """Return a fine-tuned network from its file; train it first where there is none.

    Yields progress. A training that was dropped or killed goes on from where it was last saved.
    Raises InputError if another process trains the same network, or if the file cannot be written.
    """
    path = tuned_file(point, baseline, evidence)
    if not path.exists():
        with _alone(path):
            resume_file = path.with_suffix(".resume")
            leftovers = (resume_file, file_between(resume_file))
            is_resumed = any(each.exists() for each in leftovers)
            stopwatch = Stopwatch()
            network = yield from stopwatch.timed(
                recover(pruned, point.recovery, evidence, resume_file)
            )
            metadata = {
                "kind": "pruned",
                "spec": asdict(point.spec.canonical()),
                "recovery": point.recovery.to_json(),
                "baseline": {"file": baseline.path.name, "fingerprint": baseline.fingerprint},
                "seconds": None if is_resumed else round(stopwatch.seconds, 2),
                **provenance(),
            }
            checkpoint.save(network, path, baseline.dataset, metadata, overwrite=True)
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)
    return pruned.network.with_module(checkpoint.read(path).network.module)


def seconds_of_training(path: Path) -> float | None:
    """Return how long it took to make a fine-tuned network; None if it was interrupted."""
    seconds: float | None = checkpoint.read(path).metadata.get("seconds")
    return seconds


def was_tuned_here(baseline: Checkpoint) -> bool:
    """Return whether a network that was fine-tuned from a baseline is kept on this machine."""
    return any(_folder().glob(f"{glob.escape(baseline.path.stem)}-*.safetensors"))


def tuned_file(point: Point, baseline: Checkpoint, evidence: Evidence) -> Path:
    """Return the path of a fine-tuned network's checkpoint."""
    facts = [
        *(baseline.fingerprint, baseline.signature.identity, evidence.training.fingerprint),
        *(asdict(point.spec.canonical()), point.recovery.to_json(), evidence.precision),
    ]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    spec = point.spec
    name = f"{baseline.path.stem}-{spec.method}-{spec.ratio:.2f}-{point.recovery.images}-{digest}"
    return _folder() / f"{name}.safetensors"


def _folder() -> Path:
    return paths.CHECKPOINTS / paths.LOCAL / FOLDER


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the right to train one network; raise InputError where another process has it."""
    lock = filelock.FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise InputError(
            "Another process fine-tunes this network now: come back when it is done."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written ({error.strerror}), so a network cannot be "
            "fine-tuned. Make the folder writable."
        ) from error
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"Fine-tuning stopped: {path.parent} cannot be written ({error}). Free disk space and "
            "start it again: it resumes from where it was last saved."
        ) from error
    finally:
        lock.release()
