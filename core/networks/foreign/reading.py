"""Read a file of weights without executing anything that it names, in bounded memory."""

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core.errors import InputError, one_line
from core.networks.foreign.pickles import UnsafePickleError, check_pickles, stand_ins

LARGEST_FILE = 4 * 2**30  # bytes
PICKLES_IN_OLD_FILES = 5  # magic number, protocol, system, object, storage names
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
SAVE_WEIGHTS = (
    "Nothing of it was executed. Where the network was made, save its numbers alone: "
    "torch.save(network.state_dict(), FILE)."
)


def read(path: Path) -> Any:
    """Return what a file holds: containers of tensors on the CPU, numbers and text.

    Raises InputError for a missing, damaged or too large file, for one of another kind, and for a
    pickle that holds other objects than those.
    """
    try:
        if not path.is_file():  # reading a pipe or a device might never end
            raise InputError(f"There is no file {path}. Check the name.")
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Check the name.") from error
    if size > LARGEST_FILE:
        raise InputError(
            f"{path.name} has {size / 2**30:.1f} GiB, more than can be imported "
            f"({LARGEST_FILE // 2**30} GiB)."
        )
    if start.startswith(ZIP):
        content = _read_archive(path)
    elif start.startswith(PICKLE):
        content = _read_old_pickle(path)
    elif start.endswith(b"{"):
        content = _read_safetensors(path)
    else:
        raise InputError(
            f"{path.name} is neither a safetensors file nor one that torch.save wrote. Save the "
            "network's state_dict with torch.save or safetensors."
        )
    _check_sizes(path, content, size)
    return content


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path.name} is a damaged safetensors file ({error}). Get it again."
        ) from error


def _read_archive(path: Path) -> Any:
    """Read what torch.save writes today: a zip archive of a pickle and a file for each storage."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            packed = [entry.filename for entry in entries if entry.compress_type]
            if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise InputError(
                    f"{path.name} is a compressed archive, which torch.save does not write: unpack "
                    "it and import the file of weights inside."
                )
            if any(entry.filename.endswith("/constants.pkl") for entry in entries):
                raise InputError(
                    f"{path.name} is compiled by TorchScript: save the state_dict of the Python "
                    "module instead."
                )
            # torch may find other entries in the same bytes, so it is given those checked here.
            checked = io.BytesIO()
            with zipfile.ZipFile(checked, "w") as copy:
                for entry in entries:
                    content = archive.read(entry)
                    if entry.filename.lower().endswith(".pkl"):
                        _check(path, io.BytesIO(content))
                    copy.writestr(entry.filename, content)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path.name} is a damaged archive ({error}). Get it again.") from error
    checked.seek(0)
    return _load(path, checked)


def _read_old_pickle(path: Path) -> Any:
    """Read what torch.save wrote before 1.6: five pickles, then the storages."""
    with path.open("rb") as file:
        _check(path, file, PICKLES_IN_OLD_FILES)
    return _load(path, path)


def _check(path: Path, file: BinaryIO, count: int = 1) -> None:
    try:
        check_pickles(file, count)
    except UnsafePickleError as error:
        raise InputError(f"{path.name} {error}. {SAVE_WEIGHTS}") from error


def _load(path: Path, source: Path | io.BytesIO) -> Any:
    try:
        with stand_ins():
            return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path.name} holds something that torch does not read as weights. {SAVE_WEIGHTS}"
        ) from error
    except MemoryError as error:
        raise InputError(f"{path.name} asks for more memory than there is.") from error
    except Exception as error:  # a pickle can make torch raise anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path.name} is damaged, or no file that torch.save wrote ({one_line(error)}). Save the "
        "network's state_dict with torch.save or safetensors."
    )


def _check_sizes(path: Path, content: Any, size: int) -> None:
    """Refuse tensors that are not plain numbers of the file, such as one expanded to 10 GB."""
    total = 0
    for tensor in _tensors_in(content):
        if tensor.is_meta or tensor.layout is not torch.strided or tensor.is_quantized:
            raise InputError(
                f"{path.name} holds sparse, quantised or empty tensors: save dense ones, in "
                "floating point."
            )
        total += tensor.numel() * tensor.element_size()
    if total > 2 * size + 2**20:  # tied weights are in the file once
        raise InputError(
            f"{path.name} announces tensors of {total / 2**20:,.0f} MiB, but has only "
            f"{size / 2**20:,.0f} MiB. Get it again."
        )


def _tensors_in(content: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested containers, each container once, without recursion."""
    waiting, seen = [content], set[int]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, dict | list | tuple | set) and id(each) not in seen:
            seen.add(id(each))
            waiting.extend(each.values() if isinstance(each, dict) else each)
