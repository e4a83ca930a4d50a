"""Find, read, cache and download data sets."""

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core import paths
from core.data.cifar import (
    BOTH,
    CIFAR10,
    PARQUET,
    Cifar,
    IncompleteLayoutError,
    Layout,
    find_layout,
    read,
)
from core.data.dataset import DataMissingError, DataSet
from core.data.digits import read_digits
from core.errors import InputError
from core.files import written_atomically
from core.specs.vocabulary import DATASETS


def load(name: str = "cifar10", data_folder: Path | None = None) -> DataSet:
    """Read a data set from the first place that has it, or from the cache of an earlier call.

    Raises DataMissingError if its files are not found, InputError for an unknown name or damaged
    files.
    """
    if name == "digits":
        return read_digits()
    if name not in BOTH:
        *others, last = DATASETS
        raise InputError(f"There is no data set {name!r}: choose {', '.join(others)} or {last}.")
    return _load_cifar(BOTH[name], data_folder or paths.DATA)


def _load_cifar(cifar: Cifar, data_folder: Path) -> DataSet:
    layout = find_cifar(cifar, data_folder)
    if layout is None:
        raise DataMissingError(f"{cifar.title} is not on this machine. {_how_to_get(cifar)}")
    cache = data_folder / f"{cifar.name}.safetensors"
    state = hashlib.sha256(layout.state().encode()).hexdigest()
    notes: tuple[str, ...] = ()
    tensors = _read_cache(cache, state)
    if tensors is None:
        tensors = {}
        for part, (images, labels) in read(layout).items():
            tensors[f"{part}_images"] = torch.from_numpy(images)
            tensors[f"{part}_labels"] = torch.from_numpy(labels)
        notes = _write_cache(cache, state, tensors)
    return DataSet(
        name=cifar.name,
        class_names=cifar.class_names,
        source=f"{layout.description} in {layout.files[0].parent}",
        notes=notes,
        normalisation=cifar.normalisation,
        **tensors,
    )


def find_cifar(cifar: Cifar, data_folder: Path | None = None) -> Layout | None:
    """Return the layout in the folder that `cifar.variable` names, else the one in `data_folder`.

    In `data_folder`, a subfolder with the data set's name comes first. Raises InputError if
    the variable names no folder with the data set, and DataMissingError if some of the original
    batches in `data_folder` are missing.
    """
    configured = os.environ.get(cifar.variable)
    if not configured:
        return _layout_in_data_folder(cifar, data_folder or paths.DATA)
    folder = Path(configured).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"{cifar.variable} is {configured!r}, which is no folder. Correct or unset it."
        )
    layout = find_layout(cifar, folder)
    if layout is None:
        raise InputError(
            f"{cifar.variable} is {configured!r}, which holds neither {cifar.title}'s "
            f"{' and '.join(PARQUET.values())} nor {cifar.batches_folder}. Correct or unset it."
        )
    return layout


def _layout_in_data_folder(cifar: Cifar, folder: Path) -> Layout | None:
    """Find the layout; treat incomplete batches as missing, so that a download replaces them."""
    try:
        return find_layout(cifar, folder / cifar.name) or find_layout(cifar, folder)
    except IncompleteLayoutError as error:
        if error.folder != folder / cifar.batches_folder:
            raise
        raise DataMissingError(
            f"{cifar.title} is incomplete on this machine: {error.missing} is missing. "
            f"{_how_to_get(cifar)}"
        ) from error


def _how_to_get(cifar: Cifar) -> str:
    command = "evaluate" if cifar is CIFAR10 else f"train --dataset {cifar.name}"
    return (
        f"Set {cifar.variable} to a folder that holds the two parquet files or "
        f"{cifar.batches_folder}, put either into data/{cifar.name}/, or let python -m core "
        f"{command} download it."
    )


def _write_cache(cache: Path, state: str, tensors: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """Write the tensors; return a note for the user if that fails."""
    try:
        with written_atomically(cache) as temporary:
            save_file(dict(tensors), temporary, metadata={"state": state})
    except (OSError, SafetensorError) as error:
        return (
            f"The decoded images could not be cached in {cache.parent} ({error}): "
            "they are decoded again at each start.",
        )
    return ()


def _read_cache(cache: Path, state: str) -> dict[str, torch.Tensor] | None:
    """Return the cached tensors, or None if there are none for the current state of the files."""
    try:
        with safe_open(cache, framework="pt") as file:
            if (file.metadata() or {}).get("state") != state:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None


@dataclass(frozen=True)
class DownloadProgress:
    """Bytes of the archive received; `total` is None if the server did not send it."""

    received: int
    total: int | None


def archive_address(cifar: Cifar) -> str:
    """Return torchvision's URL of the original archive."""
    return str(_torchvision_class(cifar).url)


def _torchvision_class(cifar: Cifar) -> Any:
    from torchvision import datasets  # a local import, because it takes over a second

    return datasets.CIFAR10 if cifar is CIFAR10 else datasets.CIFAR100


def download(
    cifar: Cifar, data_folder: Path | None = None, url: str | None = None, timeout: float = 20
) -> Iterator[DownloadProgress]:
    """Download the original archive, check it against torchvision's checksum, and unpack it.

    Yields progress. If the generator is dropped or the process killed, no incomplete batches are
    left, because the unpacked folder is moved into place in one rename. `timeout` is in seconds,
    for the connection and for each read. `url` defaults to torchvision's. Raises InputError if the
    download fails.
    """
    from torchvision.datasets.utils import check_integrity

    published = _torchvision_class(cifar)
    url = url or archive_address(cifar)
    data_folder = data_folder or paths.DATA
    try:
        data_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{cifar.name}.", dir=data_folder) as name:
            archive = Path(name) / published.filename
            with requests.get(url, stream=True, timeout=timeout) as response:
                response.raise_for_status()
                length = response.headers.get("content-length", "")
                total = int(length) if length.isdigit() else None
                received = 0
                with archive.open("wb") as file:
                    for chunk in response.iter_content(1 << 18):
                        file.write(chunk)
                        received += len(chunk)
                        yield DownloadProgress(received, total)
            if not check_integrity(str(archive), published.tgz_md5):
                raise InputError(
                    f"The file from {url} is not {cifar.title}'s archive (its checksum differs). "
                    f"Try again, or set {cifar.variable} to a copy you have."
                )
            with tarfile.open(archive, "r:gz") as opened:
                opened.extractall(name, filter="data")
            _move_into_place(cifar, Path(name) / cifar.batches_folder, data_folder)
    except requests.RequestException as error:
        raise InputError(
            f"{cifar.title} could not be downloaded from {url} ({type(error).__name__}). "
            f"Check the network, or set {cifar.variable} to a copy you have."
        ) from error
    except (OSError, tarfile.TarError) as error:
        raise InputError(
            f"{cifar.title} could not be saved in {data_folder} ({error}). Free disk space or make "
            f"the folder writable, or set {cifar.variable} to a copy you have."
        ) from error


def _move_into_place(cifar: Cifar, unpacked: Path, data_folder: Path) -> None:
    """Move the unpacked batches into the data folder, replacing an incomplete folder."""
    batches = data_folder / unpacked.name
    try:
        complete = find_layout(cifar, batches)
    except IncompleteLayoutError:
        complete = None
    if complete is not None:  # another process has finished a download meanwhile
        return
    if batches.exists():
        batches.rename(unpacked.with_name("incomplete"))  # deleted with the temporary folder
    unpacked.rename(batches)
