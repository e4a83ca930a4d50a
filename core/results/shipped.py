"""Result files that are shipped with the repository: a CSV, and an array file of predictions.

The CSV can be diffed and read; its first line is a comment with the command that wrote it. A
missing column or an empty cell means the setting's default. The array file (NumPy's .npz) contains
`labels` (images,) of the whole test set, and `predictions` (rows, images of the subset), one row
for each row of the CSV. Images are in the order of the test set; the dtype is uint8, or uint16 for
more than 256 classes. Where confidences are known, `codes` has the same shape, uint8, with zeros in
the rows of which they are not.
"""

import csv
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from core.files import written_atomically
from core.measuring.outcome import Cost
from core.results.key import Key
from core.results.result import CLASS_DTYPES, Result, compact
from core.results.rows import from_values, to_values
from core.specs.pruning import Overrides, PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import ALL_RECOVERIES

RESULTS_SUFFIX = ".results.csv"
UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""The exceptions NumPy raises for a file that is damaged or not an array file."""


def whole(text: str) -> int:
    """Parse a whole number from 0 on that SQLite can hold. Raises ValueError."""
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError(text)
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _overrides(text: str) -> Overrides:
    """Parse text such as "layer1.0.conv1=0.3 fc=0.5"; raise ValueError if it cannot."""
    pairs = [part.rpartition("=") for part in text.split()]
    return tuple((name, float(ratio)) for name, _, ratio in pairs)


Parser = Callable[[str], Any]
PARSERS: dict[Any, Parser] = {str: str, int: whole, float: _finite, Overrides: _overrides}
KINDS: dict[Parser, str] = {
    whole: "a whole number",
    _finite: "a number",
    float: "a number",
    _overrides: "names with ratios, such as fc=0.5",
}
SPEC = {field.name: field for field in fields(PruningSpec)}
RECOVERY = {
    "recovery" if field.name == "method" else f"recovery_{field.name}": field
    for field in fields(Recovery)
}
COST = {field.name: field for field in fields(Cost)}
COLUMNS: dict[str, Parser] = {
    "checkpoint": str,
    **{column: PARSERS[field.type] for column, field in (SPEC | RECOVERY).items()},
    "data": str,
    "precision": str,
    "algorithm": whole,
    "architecture": str,
    "evidence": str,
    "test_images": whole,  # number of images in the whole test set
    "subset_seed": whole,
    "positions": str,  # hash of the subset's positions; empty for the whole test set
    "correct": whole,
    "seen": whole,
    "loss_sum": float,  # may be infinite
    **{column: PARSERS[field.type] for column, field in COST.items()},
    "compressed_bytes": whole,
    "device": str,
    "versions": str,
    "seconds": _finite,
    "recovery_seconds": _finite,
    "date": str,  # last, since it is required: a row that was cut short is noticed
}
DEFAULTS: dict[str, Any] = {
    "architecture": Key.architecture,
    "evidence": Key.evidence,
    "positions": None,
    "compressed_bytes": None,
    "recovery_seconds": None,
    **{
        column: field.default
        for column, field in (SPEC | RECOVERY).items()
        if field.default is not MISSING
    },
}
"""Values for a missing column or an empty cell; other columns are required."""


def array_file(path: Path) -> Path:
    """Return the path of the array file that belongs to a CSV."""
    return path.with_suffix(".npz")


def files_of(path: Path) -> tuple[Path, Path]:
    """Return the paths that `export` writes: `path` and its array file.

    Raises InputError if both would be the same file.
    """
    arrays = array_file(path)
    if path == arrays:
        raise InputError(f"{path} is the name of the array file: choose one that ends in .csv.")
    return path, arrays


@dataclass(frozen=True, eq=False)
class Shipped:
    """The content of a CSV and its array file: results on the same images."""

    results: list[Result]
    test_labels: np.ndarray  # of the whole test set, compact classes (images,)


def export(results: Iterable[Result], path: Path, command: str, test_labels: np.ndarray) -> None:
    """Write `files_of(path)`, each atomically.

    `test_labels` are the compact labels (images,) of the whole test set. Raises InputError if there
    are no results, if they are on several subsets, or if the folder cannot be written.
    """
    path, arrays_path = files_of(path)
    rows = sorted(results, key=_order)
    if not rows:
        raise InputError(f"There are no results to write to {path}.")
    if len({(result.key.data, result.key.subset, result.key.subset_seed) for result in rows}) > 1:
        raise InputError(f"{path} can hold results on one subset of test images only.")
    text = io.StringIO()
    text.write(f"# {command}\n")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_to_table(result, test_labels) for result in rows)
    arrays = {
        "labels": test_labels,
        "predictions": np.stack([result.predictions for result in rows]),
    }
    if any(result.codes is not None for result in rows):
        unknown = np.zeros(rows[0].key.subset, np.uint8)
        arrays["codes"] = np.stack(
            [unknown if result.codes is None else result.codes for result in rows]
        )
    try:
        # Write the arrays first: a reader in between sees mismatched row counts and fails.
        with written_atomically(arrays_path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        with written_atomically(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error


def read_shipped(path: Path) -> Shipped:
    """Read both files and check each row against its predictions.

    Raises InputError with the file and line for anything that `export` would not write.
    """
    test_labels, predictions, codes = _read_arrays(array_file(path))
    rows = _read_table(path)
    if len(rows) != len(predictions):
        raise InputError(
            f"{path} has {len(rows):,} rows, but {array_file(path).name} has predictions "
            f"for {len(predictions):,}. Get both files again."
        )
    results = []
    for (number, row), predicted, coded in zip(rows, predictions, codes, strict=True):
        try:
            values = {name: _parse(name, row.get(name)) for name in COLUMNS}
            results.append(
                _from_table(
                    values | {"file": path.name},
                    compact(predicted),
                    test_labels,
                    coded if coded.any() else None,
                )
            )
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    return Shipped(results, test_labels)


def _read_table(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read each row as (line number in the file, cells by column)."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = enumerate(file, start=1)
            content = [line for line in lines if line[1].strip() and not line[1].startswith("#")]
        reader = csv.DictReader(line for _, line in content)
        rows = [(content[reader.line_num - 1][0], row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}). Get it again.") from error
    for name in COLUMNS:
        if name not in (reader.fieldnames or ()) and name not in DEFAULTS:
            raise InputError(
                f"{path}, line {content[0][0] if content else 1}: the column {name} is missing. "
                "Get the file again."
            )
    return rows


def _read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, predictions and codes, which are zeros where there are none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            labels, predictions = arrays["labels"], arrays["predictions"]
            none = np.zeros(predictions.shape, np.uint8)
            codes = arrays.get("codes", none)
    except UNREADABLE as error:  # NumPy's messages are for programmers, so replace them
        raise InputError(
            f"{path} cannot be read as the array of predictions. Get it again."
        ) from error
    if (
        labels.dtype not in CLASS_DTYPES
        or predictions.dtype not in CLASS_DTYPES
        or labels.ndim != 1
        or predictions.ndim != 2
        or predictions.shape[1] > len(labels)
    ):
        raise InputError(
            f"{path} should hold labels of shape (test images,) and predictions of shape (rows, "
            f"images) for no more images than labels, as uint8 or uint16, not {labels.dtype} "
            f"{labels.shape} and {predictions.dtype} {predictions.shape}. Get it again."
        )
    if codes.dtype != np.uint8 or codes.shape != predictions.shape:
        raise InputError(
            f"{path} should hold codes as uint8 of the shape of predictions, "
            f"{predictions.shape}, not {codes.dtype} {codes.shape}. Get it again."
        )
    return labels, predictions, codes


def _order(result: Result) -> tuple[Any, ...]:
    key = result.key
    network = (key.precision, key.architecture, key.checkpoint)
    return (
        key.settings,
        tuple(ALL_RECOVERIES).index(key.recovery.method),
        *network,
        key.hundredths,
    )


def _to_table(result: Result, test_labels: np.ndarray) -> dict[str, Any]:
    key, recovering = result.key, result.origin.recovery_seconds
    values = {
        **to_values(result, test_labels),
        **{column: getattr(key.spec, field.name) for column, field in SPEC.items()},
        **{column: getattr(key.recovery, field.name) for column, field in RECOVERY.items()},
        "ratio": f"{key.spec.ratio:.2f}",
        "overrides": " ".join(f"{name}={ratio!r}" for name, ratio in key.spec.overrides),
        "test_images": len(test_labels),
        "seen": key.subset,
        "seconds": f"{result.origin.seconds:.2f}",
        "recovery_seconds": "" if recovering is None else f"{recovering:.2f}",
    }
    return {name: values[name] for name in COLUMNS}


def _from_table(
    values: dict[str, Any],
    predictions: np.ndarray,
    test_labels: np.ndarray,
    codes: np.ndarray | None,
) -> Result:
    images, seed = len(test_labels), values["subset_seed"]
    if values["test_images"] != images:
        raise InputError(f"test_images is {values['test_images']}, but there are {images} labels.")
    if values["seen"] != len(predictions):
        raise InputError(
            f"seen is {values['seen']}, but there are predictions for {len(predictions)} images."
        )
    if len(predictions) == images and seed:
        raise InputError(f"subset_seed is {seed}, but it should be 0 for the whole test set.")
    spec = PruningSpec(**{field.name: values[column] for column, field in SPEC.items()})
    recovery = Recovery(**{field.name: values[column] for column, field in RECOVERY.items()})
    return from_values(values, spec, recovery, predictions, test_labels, codes)


def _parse(name: str, text: str | None) -> Any:
    if not text and name in DEFAULTS:
        return DEFAULTS[name]
    if text is None:
        raise InputError(f"the value of {name} is missing.")
    parse = COLUMNS[name]
    try:
        return parse(text)
    except ValueError as error:
        raise InputError(f"{name} should be {KINDS[parse]}, not {text!r}.") from error
