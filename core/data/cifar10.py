"""Read and check CIFAR-10 from either of its two common file layouts."""

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from core.errors import InputError

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIZES = {"train": 50_000, "test": 10_000}
PARQUET = {part: f"{part}-00000-of-00001.parquet" for part in SIZES}
BATCHES_FOLDER = "cifar-10-batches-py"
BATCHES = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}


@dataclass(frozen=True)
class Layout:
    """The files of CIFAR-10 in one folder, and a function that reads one part ("train", "test")."""

    description: str
    files: tuple[Path, ...]
    read_part: Callable[[str], tuple[np.ndarray, np.ndarray]]

    def state(self) -> str:
        """Return path, size and modification time of each file as text, to detect changes."""
        stats = [(str(path.resolve()), path.stat()) for path in self.files]
        return json.dumps([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])


class IncompleteLayoutError(InputError):
    """Some files of a layout exist and others are missing."""

    def __init__(self, layout: Layout, missing: Path):
        self.folder = missing.parent
        self.missing = missing
        super().__init__(
            f"{self.folder} holds only some of {layout.description}: {missing.name} is missing. "
            "Put it back, or remove the others."
        )


def find_layout(folder: Path) -> Layout | None:
    """Return the layout that is complete in `folder`, or None if there is no file of either.

    Raises IncompleteLayoutError if files exist but no layout is complete.
    """
    missing_files = {
        layout: [path for path in layout.files if not path.is_file()]
        for layout in (_parquet_layout(folder), _batches_layout(folder))
    }
    for layout, missing in missing_files.items():
        if not missing:
            return layout
    for layout, missing in missing_files.items():
        if len(missing) < len(layout.files):
            raise IncompleteLayoutError(layout, missing[0])
    return None


def read(
    layout: Layout, sizes: dict[str, int] | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read both parts: uint8 images (N, 3, 32, 32) and int64 labels (N,).

    Raises InputError for a file that is truncated, foreign, or has labels out of range.
    """
    parts = {}
    for part, expected in (sizes or SIZES).items():
        images, labels = layout.read_part(part)
        if len(labels) != expected:
            raise InputError(
                f"The {part} part of {layout.description} in {layout.files[0].parent} should have "
                f"{expected:,} images but has {len(labels):,}. Get the files again."
            )
        parts[part] = (images, labels)
    return parts


def _checked_labels(labels: Any, path: Path) -> np.ndarray:
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise InputError(f"{path} should hold whole numbers as labels. Get the file again.")
    wrong = next((row for row, label in enumerate(labels) if not 0 <= label <= 9), None)
    if wrong is not None:
        raise InputError(
            f"{path}, image {wrong}: the label should be 0 to 9 but is {labels[wrong]}. "
            "This is not CIFAR-10, or the file is damaged: get it again."
        )
    return np.array(labels, dtype=np.int64)


def _parquet_layout(folder: Path) -> Layout:
    def read_part(part: str) -> tuple[np.ndarray, np.ndarray]:
        return _read_parquet(folder / PARQUET[part])

    files = tuple(folder / name for name in PARQUET.values())
    return Layout("the two CIFAR-10 parquet files", files, read_part)


def _read_parquet(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} cannot be read as a parquet file (truncated or foreign?). Get it again."
        ) from error
    image_type = table.schema.field("img").type if "img" in table.schema.names else None
    has_bytes = (
        image_type is not None
        and pa.types.is_struct(image_type)
        and "bytes" in [field.name for field in image_type]
    )
    if not has_bytes or "label" not in table.schema.names:
        raise InputError(
            f"{path} should have the columns img (a struct with bytes) and label but has "
            f"{', '.join(table.schema.names)}. Get CIFAR-10 in the plain_text layout."
        )
    encoded = table["img"].combine_chunks().field("bytes").to_pylist()
    labels = _checked_labels(table["label"].to_pylist(), path)
    images = np.empty((len(encoded), 32, 32, 3), dtype=np.uint8)
    for row, data in enumerate(encoded):
        try:
            image = Image.open(io.BytesIO(data))
            if image.size != (32, 32):
                raise InputError(
                    f"{path}, image {row}: should be 32×32 pixels but is "
                    f"{image.size[0]}×{image.size[1]}. Get the file again."
                )
            images[row] = np.asarray(image.convert("RGB"))
        except (
            UnidentifiedImageError,
            Image.DecompressionBombError,
            OSError,
            SyntaxError,
            TypeError,
        ) as error:
            raise InputError(
                f"{path}, image {row}: cannot be decoded as an image. Get the file again."
            ) from error
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels


def _batches_layout(folder: Path) -> Layout:
    folder = folder / BATCHES_FOLDER if (folder / BATCHES_FOLDER).is_dir() else folder

    def read_part(part: str) -> tuple[np.ndarray, np.ndarray]:
        batches = [_read_batch(folder / name) for name in BATCHES[part]]
        images = np.concatenate([images for images, _ in batches])
        return images, np.concatenate([labels for _, labels in batches])

    files = tuple(folder / name for names in BATCHES.values() for name in names)
    return Layout("the original CIFAR-10 batches", files, read_part)


class _BatchUnpickler(pickle.Unpickler):
    """An unpickler that can only build arrays, because any other pickle could run code."""

    ALLOWED = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        if module == "numpy.core.multiarray":
            module = "numpy._core.multiarray"  # its name since NumPy 2
        return super().find_class(module, name)


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file:
            batch = _BatchUnpickler(file, encoding="bytes").load()
        images = np.asarray(batch[b"data"])
        labels = batch[b"labels"]
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(
            f"{path} cannot be read as a batch of CIFAR-10 (truncated or foreign?): "
            f"{str(error) or type(error).__name__}. Get the original archive again."
        ) from error
    checked = _checked_labels(labels, path)
    if images.dtype != np.uint8 or images.shape != (len(checked), 3 * 32 * 32):
        raise InputError(
            f"{path} should hold uint8 images of shape ({len(checked)}, 3072) but holds "
            f"{images.dtype} of shape {images.shape}. Get the original archive again."
        )
    return images.reshape(-1, 3, 32, 32).copy(), checked
