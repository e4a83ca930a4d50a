"""What is known of one baseline from training images, collected on demand and kept on disk."""

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core import paths
from core.data.dataset import TrainingImages
from core.device import best_device, resolve_precision
from core.evidence.moments import Moments, collect
from core.files import written_atomically
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network

MOST_BYTES = 2**30
"""Size of the folder, from which the files that were read longest ago are removed."""
VERSION = "1"
"""Increase it when other numbers are collected."""

ByLayer = Mapping[str, Moments]


class Evidence:
    """Collects evidence of one baseline on training images."""

    def __init__(
        self,
        network: Network,
        fingerprint: str,
        training: TrainingImages,
        precision: str = "auto",
        device: torch.device | None = None,
        folder: Path | None = None,
    ):
        self.network = network
        self.training = training
        self.device = device or best_device()
        self.precision = resolve_precision(precision, self.device)
        self._fingerprint = fingerprint  # of the baseline's tensors
        self._folder = folder  # where to keep what was collected; None: in memory only
        self._moments: dict[tuple[int, int], ByLayer] = {}

    def moments(self, images: int, seed: int = 0) -> Generator[Recovering, None, ByLayer]:
        """Return the moments of each layer whose weights can be adapted; yield progress.

        They are read if they were collected before, and kept if they can be.
        """
        known = self._moments.get((images, seed))
        path = None if self._folder is None else self._folder / self._file_name(images, seed)
        if known is None and path is not None:
            known = _read(path)
        if known is None:
            drawn = self.training.draw(images, seed)
            known = yield from collect(self.network, drawn, self.precision, self.device)
            if path is not None:
                _keep(path, known)
        self._moments[images, seed] = known
        return known

    def _file_name(self, images: int, seed: int) -> str:
        facts = [
            *(VERSION, self._fingerprint, self.network.signature.identity),
            *(self.training.fingerprint, images, seed, self.precision),
        ]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
        return f"moments-{digest}.safetensors"


def local_evidence(
    baseline: Checkpoint,
    training: TrainingImages,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Evidence:
    """Return the evidence of a baseline that is kept on this machine."""
    folder = paths.CHECKPOINTS / paths.LOCAL / "evidence"
    return Evidence(baseline.network, baseline.fingerprint, training, precision, device, folder)


def _read(path: Path) -> ByLayer | None:
    try:
        with safe_open(path, framework="pt") as file:
            kernels = json.loads((file.metadata() or {})["kernels"])
            found = {
                layer: Moments(
                    tuple(kernel), file.get_tensor(f"{layer}.mean"), file.get_tensor(layer)
                )
                for layer, kernel in kernels.items()
            }
        os.utime(path)
    except (OSError, SafetensorError, KeyError):
        return None
    return found


def _keep(path: Path, moments: ByLayer) -> None:
    tensors = {f"{layer}.mean": each.mean for layer, each in moments.items()}
    tensors |= {layer: each.shifted for layer, each in moments.items()}
    kernels = json.dumps({layer: each.kernel for layer, each in moments.items()})
    with suppress(OSError, SafetensorError):  # collected again next time
        with written_atomically(path) as temporary:
            save_file(tensors, temporary, metadata={"kernels": kernels})
        _bound(path.parent)


def _bound(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"), key=lambda each: each.stat().st_mtime)
    size = sum(each.stat().st_size for each in files)
    for each in files[:-1]:
        if size <= MOST_BYTES:
            break
        size -= each.stat().st_size
        each.unlink()
