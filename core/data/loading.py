"""Find, read, cache and download data sets."""

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core import paths
from core.data import cifar10
from core.data.dataset import DataMissingError, DataSet
from core.data.digits import read_digits
from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.files import written_atomically
from core.specs.vocabulary import DATASETS

HOW_TO_GET_CIFAR10 = (
    "Set CIFAR10_DIR to a folder that holds the two parquet files or cifar-10-batches-py, "
    "put either into data/, or let python -m core evaluate download it."
)


def load(name: str = "cifar10", data_folder: Path | None = None) -> DataSet:
    """Read a data set from the first place that has it, or from the cache of an earlier call.

    Raises DataMissingError if CIFAR-10 is not found, InputError for an unknown name or damaged
    files.
    """
    if name == "digits":
        return read_digits()
    if name != "cifar10":
        raise InputError(f"There is no data set {name!r}: choose {' or '.join(DATASETS)}.")
    data_folder = data_folder or paths.DATA
    layout = find_cifar10(data_folder)
    if layout is None:
        raise DataMissingError(f"CIFAR-10 is not on this machine. {HOW_TO_GET_CIFAR10}")
    cache = data_folder / "cifar10.safetensors"
    state = hashlib.sha256(layout.state().encode()).hexdigest()
    notes: tuple[str, ...] = ()
    tensors = _read_cache(cache, state)
    if tensors is None:
        tensors = {}
        for part, (images, labels) in cifar10.read(layout).items():
            tensors[f"{part}_images"] = torch.from_numpy(images)
            tensors[f"{part}_labels"] = torch.from_numpy(labels)
        try:
            with written_atomically(cache) as temporary:
                save_file(tensors, temporary, metadata={"state": state})
        except (OSError, SafetensorError) as error:
            notes = (
                f"The decoded images could not be cached in {data_folder} ({error}): "
                "they are decoded again at each start.",
            )
    return DataSet(
        name="cifar10",
        class_names=cifar10.CLASS_NAMES,
        source=f"{layout.description} in {layout.files[0].parent}",
        notes=notes,
        normalisation=CIFAR10,
        **tensors,
    )


def find_cifar10(data_folder: Path | None = None) -> cifar10.Layout | None:
    """Return the layout in CIFAR10_DIR if that is set, else the one in `data_folder`, else None.

    Raises InputError if CIFAR10_DIR is not a folder with CIFAR-10, and DataMissingError if some of
    the original batches in `data_folder` are missing.
    """
    configured = os.environ.get("CIFAR10_DIR")
    if not configured:
        return _layout_in_data_folder(data_folder or paths.DATA)
    folder = Path(configured).expanduser()
    if not folder.is_dir():
        raise InputError(f"CIFAR10_DIR is {configured!r}, which is no folder. Correct or unset it.")
    layout = cifar10.find_layout(folder)
    if layout is None:
        raise InputError(
            f"CIFAR10_DIR is {configured!r}, which holds neither "
            f"{' and '.join(cifar10.PARQUET.values())} nor {cifar10.BATCHES_FOLDER}. "
            "Correct or unset it."
        )
    return layout


def _layout_in_data_folder(folder: Path) -> cifar10.Layout | None:
    """Find the layout; treat incomplete batches as missing, so that a download replaces them."""
    try:
        return cifar10.find_layout(folder)
    except cifar10.IncompleteLayoutError as error:
        if error.folder != folder / cifar10.BATCHES_FOLDER:
            raise
        raise DataMissingError(
            f"CIFAR-10 is incomplete on this machine: {error.missing} is missing. "
            f"{HOW_TO_GET_CIFAR10}"
        ) from error


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


def archive_address() -> str:
    """Return torchvision's URL of the original archive."""
    from torchvision.datasets import CIFAR10  # a local import, because it takes over a second

    return str(CIFAR10.url)


def download_cifar10(
    data_folder: Path | None = None, url: str | None = None, timeout: float = 20
) -> Iterator[DownloadProgress]:
    """Download the original archive, check it against torchvision's checksum, and unpack it.

    Yields progress. If the generator is dropped or the process killed, no incomplete batches are
    left, because the unpacked folder is moved into place in one rename. `timeout` is in seconds,
    for the connection and for each read. `url` defaults to torchvision's. Raises InputError if the
    download fails.
    """
    from torchvision.datasets import CIFAR10  # a local import, because it takes over a second
    from torchvision.datasets.utils import check_integrity

    url = url or archive_address()
    data_folder = data_folder or paths.DATA
    try:
        data_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cifar10.", dir=data_folder) as name:
            archive = Path(name) / CIFAR10.filename
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
            if not check_integrity(str(archive), CIFAR10.tgz_md5):
                raise InputError(
                    f"The file from {url} is not CIFAR-10's archive (its checksum differs). "
                    "Try again, or set CIFAR10_DIR to a copy you have."
                )
            with tarfile.open(archive, "r:gz") as opened:
                opened.extractall(name, filter="data")
            _move_into_place(Path(name) / cifar10.BATCHES_FOLDER, data_folder)
    except requests.RequestException as error:
        raise InputError(
            f"CIFAR-10 could not be downloaded from {url} ({type(error).__name__}). "
            "Check the network, or set CIFAR10_DIR to a copy you have."
        ) from error
    except (OSError, tarfile.TarError) as error:
        raise InputError(
            f"CIFAR-10 could not be saved in {data_folder} ({error}). "
            "Free disk space or make the folder writable, or set CIFAR10_DIR to a copy you have."
        ) from error


def _move_into_place(unpacked: Path, data_folder: Path) -> None:
    """Move the unpacked batches into the data folder, replacing an incomplete folder."""
    batches = data_folder / unpacked.name
    try:
        complete = cifar10.find_layout(batches)
    except cifar10.IncompleteLayoutError:
        complete = None
    if complete is not None:  # another process has finished a download meanwhile
        return
    if batches.exists():
        batches.rename(unpacked.with_name("incomplete"))  # deleted with the temporary folder
    unpacked.rename(batches)
