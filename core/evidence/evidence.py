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
from core.evidence.saliency import InputSaliency, Saliency, changes_of_loss
from core.files import written_atomically
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.networks.layers import input_dim
from core.networks.network import Network

MOST_BYTES = 2**30
"""Size of the folder, from which the files that were read longest ago are removed."""
VERSION = "1"
"""Increase it when other numbers are collected."""
SALIENCY_IMAGES, SALIENCY_SEED = 2000, 0
"""The training images that criteria look at."""
FOLDER = "evidence"
SALIENCY_TENSORS = ("energy", "inverse", "loss")

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
        self._saliency: Saliency | None = None

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

    @property
    def identity(self) -> str:
        """Return the identity of what `saliency` returns, also if it is not collected yet."""
        if self._saliency is None:
            self._saliency = kept_saliency(self.network, self._fingerprint)
        return self._identity if self._saliency is None else self._saliency.identity

    def saliency(self) -> Generator[Recovering, None, Saliency]:
        """Return what criteria need to know; yield progress.

        It is collected once a baseline: what ships, or was kept, is taken as it is.
        """
        if self._saliency is None:
            self._saliency = kept_saliency(self.network, self._fingerprint)
        if self._saliency is None:
            self._saliency = yield from self._collect_saliency()
            if self._folder is not None:
                name = _saliency_file(self.network, self._fingerprint)
                _keep_saliency(self._folder / name, self._saliency)
        return self._saliency

    def _collect_saliency(self) -> Generator[Recovering, None, Saliency]:
        drawn = self.training.draw_labelled(SALIENCY_IMAGES, SALIENCY_SEED)
        moments = yield from self.moments(SALIENCY_IMAGES, SALIENCY_SEED)
        changes = yield from changes_of_loss(self.network, *drawn, self.device)
        inputs = {}
        for name, each in moments.items():
            layer = self.network.layers[name]
            weight = layer.weight.detach().movedim(input_dim(layer), 1).cpu()
            inputs[name] = InputSaliency.of(weight, each)
            yield Recovering(len(drawn[0]), len(drawn[0]))  # inverting a matrix can take seconds
        return Saliency(self._identity, inputs, changes)

    @property
    def _identity(self) -> str:
        return self._digest(SALIENCY_IMAGES, SALIENCY_SEED)[:16]

    def _file_name(self, images: int, seed: int) -> str:
        return f"moments-{self._digest(images, seed)}.safetensors"

    def _digest(self, images: int, seed: int) -> str:
        return _digest(
            *(VERSION, self._fingerprint, self.network.signature.identity),
            *(self.training.fingerprint, images, seed, self.precision),
        )


def local_evidence(
    baseline: Checkpoint,
    training: TrainingImages,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Evidence:
    """Return the evidence of a baseline that is kept on this machine."""
    folder = paths.CHECKPOINTS / paths.LOCAL / FOLDER
    return Evidence(baseline.network, baseline.fingerprint, training, precision, device, folder)


def kept_saliency(network: Network, fingerprint: str) -> Saliency | None:
    """Return what ships for a baseline, or was collected on this machine, or None.

    `fingerprint` is of the baseline's tensors.
    """
    found = map(_read_saliency, _saliency_files(network, fingerprint))
    return next((each for each in found if each is not None), None)


def kept_identity(network: Network, fingerprint: str) -> str:
    """Return the identity of what `kept_saliency` returns, or ""."""
    found = map(_read_about, _saliency_files(network, fingerprint))
    return next((each["identity"] for each in found if "identity" in each), "")


def _saliency_files(network: Network, fingerprint: str) -> list[Path]:
    name = _saliency_file(network, fingerprint)
    return [
        folder / FOLDER / name for folder in (paths.CHECKPOINTS, paths.CHECKPOINTS / paths.LOCAL)
    ]


def _read_about(path: Path) -> Mapping[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def _saliency_file(network: Network, fingerprint: str) -> str:
    digest = _digest(VERSION, fingerprint, network.signature.identity)
    return f"saliency-{digest}.safetensors"


def _digest(*facts: str | int) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _read_saliency(path: Path) -> Saliency | None:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            inputs = {
                layer: InputSaliency(
                    *(file.get_tensor(f"{layer}.{name}") for name in SALIENCY_TENSORS)
                )
                for layer in json.loads(about["layers"])
            }
            changes = {
                group: file.get_tensor(f"{group}.change") for group in json.loads(about["groups"])
            }
    except (OSError, SafetensorError, KeyError):
        return None
    return Saliency(about["identity"], inputs, changes)


def _keep_saliency(path: Path, saliency: Saliency) -> None:
    tensors = {
        f"{layer}.{name}": getattr(each, name).contiguous()
        for layer, each in saliency.inputs.items()
        for name in SALIENCY_TENSORS
    }
    tensors |= {f"{group}.change": each for group, each in saliency.changes.items()}
    about = {
        "identity": saliency.identity,
        "layers": json.dumps(list(saliency.inputs)),
        "groups": json.dumps(list(saliency.changes)),
    }
    # What could not be kept is collected again next time.
    with suppress(OSError, SafetensorError), written_atomically(path) as temporary:
        save_file(tensors, temporary, metadata=about)


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
    files = sorted(folder.glob("moments-*.safetensors"), key=lambda each: each.stat().st_mtime)
    size = sum(each.stat().st_size for each in files)
    for each in files[:-1]:
        if size <= MOST_BYTES:
            break
        size -= each.stat().st_size
        each.unlink()
