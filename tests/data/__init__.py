"""Small fakes of both layouts of both CIFARs, written without the code under test."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Parts = dict[str, tuple[np.ndarray, np.ndarray]]

SIZES = {"train": 20, "test": 6}


def some_parts(seed: int = 0, classes: int = 10) -> Parts:
    """Noise: uint8 (N, 3, 32, 32) and labels, as the reader should give them."""
    rng = np.random.default_rng(seed)
    return {
        part: (
            rng.integers(0, 256, (size, 3, 32, 32), dtype=np.uint8),
            rng.integers(0, classes, size),
        )
        for part, size in SIZES.items()
    }


def encoded(image: np.ndarray, file_format: str = "PNG") -> bytes:
    """An image of shape (3, H, W) as a file's content."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, file_format)
    return buffer.getvalue()


def write_table(path: Path, images: list[bytes | None], labels: Any) -> None:
    column = pa.array([{"bytes": image, "path": "image"} for image in images])
    pq.write_table(pa.table({"img": column, "label": labels}), path)


def write_parquet(folder: Path, parts: Parts, file_format: str = "PNG") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, (images, labels) in parts.items():
        write_table(
            folder / f"{part}-00000-of-00001.parquet",
            [encoded(image, file_format) for image in images],
            labels,
        )


def python2_pickle(value: Any) -> bytes:
    """As Python 2 and NumPy 1 wrote it: strings without an encoding, modules by their old names."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool() | int():
            return b"I%d\n" % value
        case float():
            return b"G" + struct.pack(">d", value)
        case str() | bytes():
            raw = value if isinstance(value, bytes) else value.encode("latin1")
            return b"T" + struct.pack("<i", len(raw)) + raw
        case list() | tuple():
            return b"(" + b"".join(map(_opcodes, value)) + (b"l" if type(value) is list else b"t")
        case dict():
            return b"(" + b"".join(_opcodes(item) for pair in value.items() for item in pair) + b"d"
        case np.ndarray() | np.dtype():
            reduced: Any = value.__reduce__()  # its constructor, arguments and state
            function, arguments, state = map(_opcodes, reduced)
            return function + arguments + b"R" + state + b"b"
    module = value.__module__.replace("numpy._core", "numpy.core")
    return f"c{module}\n{value.__name__}\n".encode()


def batch(images: np.ndarray, labels: Any) -> dict[str, Any]:
    return {"batch_label": "one of 5", "labels": labels, "data": images.reshape(len(images), -1)}


def write_batches(folder: Path, parts: Parts) -> None:
    """The original layout: five training batches and a test batch."""
    folder = folder / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = parts["train"]
    pieces = zip(np.split(images, 5), np.split(labels, 5), strict=True)
    named = {f"data_batch_{number}": piece for number, piece in enumerate(pieces, start=1)}
    for name, (some, their) in (named | {"test_batch": parts["test"]}).items():
        (folder / name).write_bytes(python2_pickle(batch(some, their.tolist())))


def write_cifar100(layout: str, folder: Path, parts: Parts) -> None:
    """CIFAR-100 as parquet files or as original batches, with coarse labels that mean nothing."""
    inner = folder / "cifar-100-python" if layout == "batches" else folder
    inner.mkdir(parents=True, exist_ok=True)
    for part, (images, labels) in parts.items():
        fine, coarse = labels.tolist(), [7] * len(labels)
        if layout == "parquet":
            column = pa.array([{"bytes": encoded(image), "path": "image"} for image in images])
            table = pa.table({"img": column, "fine_label": fine, "coarse_label": coarse})
            pq.write_table(table, folder / f"{part}-00000-of-00001.parquet")
        else:
            content = batch(images, None) | {"fine_labels": fine, "coarse_labels": coarse}
            del content["labels"]
            (inner / part).write_bytes(python2_pickle(content))
    if layout == "batches":
        (inner / "meta").write_bytes(python2_pickle({"fine_label_names": ["not", "read"]}))
