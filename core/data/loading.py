"""Find, read, cache and download data sets."""

import hashlib
import json
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
from core.data import folder
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
from core.specs.vocabulary import DATASETS, FOLDER, is_folder

IMAGES_VARIABLE, SIZE_VARIABLE = "EXPLORER_DATA", "EXPLORER_IMAGE_SIZE"
"""The environment variables that name a folder of own images, and the size to decode them at."""


@dataclass(frozen=True)
class Choice:
    """A data set as a person chose it: its name, and the place of own images."""

    name: str
    folder: Path | None = None

    @classmethod
    def of(cls, text: str) -> "Choice":
        """Parse one of DATASETS, or folder:PATH. Raises InputError for any other text."""
        if not is_folder(text):
            _check_name(text)
            return cls(text)
        path = text.removeprefix(FOLDER)
        if not path:
            raise InputError(f"A folder of own images is written {FOLDER}PATH, not {text!r}.")
        place = Path(path).expanduser()
        return cls(folder.name_of(place), place)


def load(
    name: str = "cifar10",
    data_folder: Path | None = None,
    own: Path | None = None,
    image_size: int | None = None,
    report: folder.Report = folder.ignore,
) -> DataSet:
    """Read a data set from the first place that has it, or from the cache of an earlier call.

    `own` is the folder of own images, by default the one that EXPLORER_DATA names; they are decoded
    at `image_size` pixels, by default EXPLORER_IMAGE_SIZE or 32, and `report` is told how many are
    done, and of how many. Raises DataMissingError if the files are not found, InputError for an
    unknown name or damaged files.
    """
    data_folder = data_folder or paths.DATA
    if is_folder(name):
        return _load_folder(name, data_folder, own or configured_images(), image_size, report)
    _check_name(name)
    if name == "digits":
        return read_digits()
    return _load_cifar(BOTH[name], data_folder)


def _check_name(name: str) -> None:
    if name not in DATASETS:
        raise InputError(
            f"There is no data set {name!r}: choose {', '.join(DATASETS)} or {FOLDER}PATH."
        )


def configured_images() -> Path | None:
    """Return the folder of own images that EXPLORER_DATA names, or None."""
    configured = os.environ.get(IMAGES_VARIABLE)
    return Path(configured).expanduser() if configured else None


def configured_size() -> int:
    """Return the size of own images: EXPLORER_IMAGE_SIZE, by default 32. Raises InputError."""
    configured = os.environ.get(SIZE_VARIABLE)
    if not configured:
        return folder.USUAL_SIZE
    if not (configured.isascii() and configured.isdigit()):
        raise InputError(
            f"{SIZE_VARIABLE} is {configured!r}, which is no number of pixels. Correct or unset it."
        )
    folder.check_size(int(configured))
    return int(configured)


def _load_folder(
    name: str,
    data_folder: Path,
    place: Path | None,
    image_size: int | None,
    report: folder.Report,
) -> DataSet:
    if place is None or folder.name_of(place) != name:
        raise DataMissingError(
            f"The images of {name} are in a folder that was not named: name it with --dataset "
            f"{FOLDER}PATH, or start the app with {IMAGES_VARIABLE}=PATH."
        )
    size = configured_size() if image_size is None else image_size
    folder.check_size(size)
    listing = folder.list_images(place)
    where = hashlib.sha256(os.fsencode(os.path.abspath(place))).hexdigest()[:8]
    cache = data_folder / f"folder-{where}-{size}px.safetensors"
    state = listing.state(size)
    cached = _read_cache(cache, state)
    written: tuple[str, ...] = ()
    tensors: Mapping[str, torch.Tensor]
    if cached is None:
        decoded = folder.decode(listing, size, report)
        tensors, broken = decoded.tensors, decoded.broken
        written = _write_cache(cache, state, tensors, {"broken": json.dumps(broken)})
    else:
        tensors, metadata = cached
        broken = tuple(json.loads(metadata["broken"]))
    return DataSet(
        name=name,
        class_names=listing.class_names,
        source=f"the folder {folder.readable(str(place))}, at {size}×{size} pixels",
        notes=(*folder.notes_on(listing, tensors, broken), *written),
        normalisation=folder.normalisation_of(tensors["train_images"]),
        **tensors,
    )


def _load_cifar(cifar: Cifar, data_folder: Path) -> DataSet:
    layout = find_cifar(cifar, data_folder)
    if layout is None:
        raise DataMissingError(f"{cifar.title} is not on this machine. {_how_to_get(cifar)}")
    cache = data_folder / f"{cifar.name}.safetensors"
    state = hashlib.sha256(layout.state().encode()).hexdigest()
    notes: tuple[str, ...] = ()
    cached = _read_cache(cache, state)
    tensors = {} if cached is None else cached[0]
    if cached is None:
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
    place = Path(configured).expanduser()
    if not place.is_dir():
        raise InputError(
            f"{cifar.variable} is {configured!r}, which is no folder. Correct or unset it."
        )
    layout = find_layout(cifar, place)
    if layout is None:
        raise InputError(
            f"{cifar.variable} is {configured!r}, which holds neither {cifar.title}'s "
            f"{' and '.join(PARQUET.values())} nor {cifar.batches_folder}. Correct or unset it."
        )
    return layout


def _layout_in_data_folder(cifar: Cifar, data_folder: Path) -> Layout | None:
    """Find the layout; treat incomplete batches as missing, so that a download replaces them."""
    try:
        return find_layout(cifar, data_folder / cifar.name) or find_layout(cifar, data_folder)
    except IncompleteLayoutError as error:
        if error.folder != data_folder / cifar.batches_folder:
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


def _write_cache(
    cache: Path,
    state: str,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Write the tensors; return a note for the user if that fails."""
    try:
        with written_atomically(cache) as temporary:
            save_file(dict(tensors), temporary, metadata={"state": state, **(metadata or {})})
    except (OSError, SafetensorError) as error:
        return (
            f"The decoded images could not be cached in {cache.parent} ({error}): "
            "they are decoded again at each start.",
        )
    return ()


def _read_cache(cache: Path, state: str) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
    """Return the cached tensors and metadata, or None without any for this state of the files."""
    try:
        with safe_open(cache, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("state") != state:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
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
