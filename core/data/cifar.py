"""Read and check CIFAR-10 and CIFAR-100 from either of their two common file layouts."""

import io
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from core.data import normalisation
from core.data.normalisation import Normalisation
from core.errors import InputError

SIZES = {"train": 50_000, "test": 10_000}
"""Images in each part of either data set."""
PARQUET = {part: f"{part}-00000-of-00001.parquet" for part in SIZES}


@dataclass(frozen=True)
class Cifar:
    """What distinguishes CIFAR-10 and CIFAR-100."""

    name: str  # of the data set
    title: str
    variable: str  # the environment variable that names a folder
    class_names: tuple[str, ...]
    normalisation: Normalisation
    label_column: str  # in the parquet files
    label_key: bytes  # in the original batches
    archive_megabytes: int
    batches_folder: str
    batches: Mapping[str, tuple[str, ...]]  # file names of each part


CIFAR10 = Cifar(
    name="cifar10",
    title="CIFAR-10",
    variable="CIFAR10_DIR",
    class_names=(
        *("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"),
        "truck",
    ),
    normalisation=normalisation.CIFAR10,
    label_column="label",
    label_key=b"labels",
    archive_megabytes=170,
    batches_folder="cifar-10-batches-py",
    batches={
        "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
        "test": ("test_batch",),
    },
)

CIFAR100 = Cifar(
    name="cifar100",
    title="CIFAR-100",
    variable="CIFAR100_DIR",
    class_names=(  # of the fine labels
        *("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle"),
        *("bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle"),
        *("caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch"),
        *("crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest"),
        *("fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower"),
        *("leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain"),
        *("mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear"),
        *("pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit"),
        *("raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk"),
        *("skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower"),
        *("sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train"),
        *("trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm"),
    ),
    normalisation=normalisation.CIFAR100,
    label_column="fine_label",
    label_key=b"fine_labels",
    archive_megabytes=169,
    batches_folder="cifar-100-python",
    batches={"train": ("train",), "test": ("test",)},
)

BOTH = {cifar.name: cifar for cifar in (CIFAR10, CIFAR100)}


@dataclass(frozen=True)
class Layout:
    """The files in one folder, and a function that reads one part ("train", "test")."""

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


def find_layout(cifar: Cifar, folder: Path) -> Layout | None:
    """Return the layout that is complete in `folder`, or None if there is no file of either.

    Raises IncompleteLayoutError if files exist but no layout is complete.
    """
    layouts = [_batches_layout(cifar, folder)]
    if not _holds_the_other(cifar, folder):
        layouts.insert(0, _parquet_layout(cifar, folder))
    missing_files = {
        layout: [path for path in layout.files if not path.is_file()] for layout in layouts
    }
    for layout, missing in missing_files.items():
        if not missing:
            return layout
    for layout, missing in missing_files.items():
        if len(missing) < len(layout.files):
            raise IncompleteLayoutError(layout, missing[0])
    return None


def _holds_the_other(cifar: Cifar, folder: Path) -> bool:
    """Return whether a folder has the other data set's parquet files, whose names are the same."""
    try:
        columns = pq.read_schema(folder / PARQUET["test"]).names
    except (pa.ArrowException, OSError):
        return False
    others = {each.label_column for each in BOTH.values()} - {cifar.label_column}
    return cifar.label_column not in columns and not others.isdisjoint(columns)


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


def _checked_labels(cifar: Cifar, labels: Any, path: Path) -> np.ndarray:
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise InputError(f"{path} should hold whole numbers as labels. Get the file again.")
    last = len(cifar.class_names) - 1
    wrong = next((row for row, label in enumerate(labels) if not 0 <= label <= last), None)
    if wrong is not None:
        raise InputError(
            f"{path}, image {wrong}: the label should be 0 to {last} but is "
            f"{labels[wrong]}. This is not {cifar.title}, or the file is damaged: get it again."
        )
    return np.array(labels, dtype=np.int64)


def _parquet_layout(cifar: Cifar, folder: Path) -> Layout:
    def read_part(part: str) -> tuple[np.ndarray, np.ndarray]:
        return _read_parquet(cifar, folder / PARQUET[part])

    files = tuple(folder / name for name in PARQUET.values())
    return Layout(f"the two {cifar.title} parquet files", files, read_part)


def _read_parquet(cifar: Cifar, path: Path) -> tuple[np.ndarray, np.ndarray]:
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
    if not has_bytes or cifar.label_column not in table.schema.names:
        raise InputError(
            f"{path} should have the columns img (a struct with bytes) and {cifar.label_column} "
            f"but has {', '.join(table.schema.names)}. Get {cifar.title}'s files from Hugging Face."
        )
    encoded = table["img"].combine_chunks().field("bytes").to_pylist()
    labels = _checked_labels(cifar, table[cifar.label_column].to_pylist(), path)
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


def _batches_layout(cifar: Cifar, folder: Path) -> Layout:
    inner = folder / cifar.batches_folder
    folder = inner if inner.is_dir() else folder

    def read_part(part: str) -> tuple[np.ndarray, np.ndarray]:
        batches = [_read_batch(cifar, folder / name) for name in cifar.batches[part]]
        images = np.concatenate([images for images, _ in batches])
        return images, np.concatenate([labels for _, labels in batches])

    files = tuple(folder / name for names in cifar.batches.values() for name in names)
    return Layout(f"the original {cifar.title} batches", files, read_part)


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


def _read_batch(cifar: Cifar, path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file:
            batch = _BatchUnpickler(file, encoding="bytes").load()
        images = np.asarray(batch[b"data"])
        labels = batch[cifar.label_key]
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(
            f"{path} cannot be read as a batch of {cifar.title} (truncated or foreign?): "
            f"{str(error) or type(error).__name__}. Get the original archive again."
        ) from error
    checked = _checked_labels(cifar, labels, path)
    if images.dtype != np.uint8 or images.shape != (len(checked), 3 * 32 * 32):
        raise InputError(
            f"{path} should hold uint8 images of shape ({len(checked)}, 3072) but holds "
            f"{images.dtype} of shape {images.shape}. Get the original archive again."
        )
    return images.reshape(-1, 3, 32, 32).copy(), checked
