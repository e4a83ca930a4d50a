"""Results as files that come with the repository: a CSV, and beside it one array of predictions.

The CSV is text, for diffs and for people; its first line is a comment with the command that made
it. The array file (NumPy's .npz) holds `labels`, uint8 (images,), of the whole test set, and
`predictions`, uint8 (rows, images of the subset), a row for each of the CSV's; images in the order
of the test set.
"""

import csv
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.data.subsets import sorted_subset
from core.errors import InputError
from core.files import written_atomically
from core.measuring.outcome import Cost
from core.results.key import Key
from core.results.result import Origin, Result
from core.specs.pruning import Overrides, PruningSpec
from core.specs.recovery import Recovery

RESULTS_SUFFIX = ".results.csv"


def _overrides(text: str) -> Overrides:
    """Such as "layer1.0.conv1=0.3 fc=0.5". Raises ValueError for anything else."""
    pairs = [part.rpartition("=") for part in text.split()]
    return tuple((name, float(ratio)) for name, _, ratio in pairs)


COLUMNS: dict[str, Callable[[str], Any]] = {
    "checkpoint": str,
    "method": str,
    "ratio": float,
    "criterion": str,
    "allocation": str,
    "scope": str,
    "seed": int,
    "overrides": _overrides,
    "recovery": str,
    "recovery_images": int,
    "recovery_seed": int,
    "data": str,
    "precision": str,
    "algorithm": int,
    "test_images": int,  # of the whole test set
    "subset_seed": int,
    "correct": int,
    "seen": int,
    "loss_sum": float,
    "parameters": int,
    "nonzero": int,
    "macs": int,
    "macs_nonzero": float,
    "bytes": int,
    "compressed_bytes": int,  # may be empty
    "device": str,
    "versions": str,
    "seconds": float,
    "date": str,
}
KINDS: dict[Callable[[str], Any], str] = {
    int: "a whole number",
    float: "a number",
    _overrides: "names with ratios, such as fc=0.5",
}
UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What NumPy raises for an array file that is damaged or none."""


def array_file(path: Path) -> Path:
    """The file of predictions beside a CSV."""
    return path.with_suffix(".npz")


def files_of(path: Path) -> tuple[Path, Path]:
    """What `export` writes: the CSV and the array file. Raises InputError for the latter's name."""
    arrays = array_file(path)
    if path == arrays:
        raise InputError(f"{path} is the name of the array file: choose one that ends in .csv.")
    return path, arrays


@dataclass(frozen=True, eq=False)
class Shipped:
    """What a pair of files holds: results, all on the same images."""

    results: list[Result]
    test_labels: np.ndarray  # of the whole test set, uint8 (images,)


def export(results: Iterable[Result], path: Path, command: str, test_labels: np.ndarray) -> None:
    """Write `files_of(path)`, each whole or not at all.

    `test_labels`, uint8 (images,), are those of the whole test set. Raises InputError where there
    are no results, where they are on several subsets, or where the folder cannot be written.
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
    writer.writerows(_to_row(result, len(test_labels)) for result in rows)
    arrays = {
        "labels": test_labels,
        "predictions": np.stack([result.predictions for result in rows]),
    }
    try:
        # The arrays first: a reader that comes between sees a CSV with fewer rows, and says so.
        with written_atomically(arrays_path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        with written_atomically(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error


def read_shipped(path: Path) -> Shipped:
    """Read both files, checked row by row against the predictions.

    Raises InputError, naming the file and the line, for anything that is not as `export` writes it.
    """
    test_labels, predictions = _read_arrays(array_file(path))
    results = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = ((number, line) for number, line in enumerate(file, start=1))
            content = [item for item in lines if item[1].strip() and not item[1].startswith("#")]
        reader = csv.DictReader(line for _, line in content)
        rows = [(content[reader.line_num - 1][0], row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}). Get it again.") from error
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        first_line = content[0][0] if content else 1
        raise InputError(
            f"{path}, line {first_line}: the column {missing[0]} is missing. Get the file again."
        )
    if len(rows) != len(predictions):
        raise InputError(
            f"{path} has {len(rows):,} rows, but {array_file(path).name} has predictions "
            f"for {len(predictions):,}. Get both files again."
        )
    for (number, row), predicted in zip(rows, predictions, strict=True):
        try:
            results.append(_from_row(row, predicted, test_labels, path.name))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    return Shipped(results, test_labels)


def _read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            labels, predictions = arrays["labels"], arrays["predictions"]
    except UNREADABLE as error:  # whose words NumPy chose for programmers
        raise InputError(
            f"{path} cannot be read as the array of predictions. Get it again."
        ) from error
    if (
        labels.dtype != np.uint8
        or predictions.dtype != np.uint8
        or labels.ndim != 1
        or predictions.ndim != 2
        or predictions.shape[1] > len(labels)
    ):
        raise InputError(
            f"{path} should hold uint8 labels of shape (test images,) and predictions of shape "
            f"(rows, images) for as many images at most, not {labels.dtype} {labels.shape} and "
            f"{predictions.dtype} {predictions.shape}. Get it again."
        )
    return labels, predictions


def _order(result: Result) -> tuple[Any, ...]:
    key = result.key
    return (key.settings, key.recovery != Recovery(), key.precision, key.checkpoint, key.hundredths)


def _to_row(result: Result, test_images: int) -> dict[str, Any]:
    key, origin = result.key, result.origin
    return {
        "checkpoint": key.checkpoint,
        **asdict(key.spec),
        "ratio": f"{key.spec.ratio:.2f}",
        "overrides": " ".join(f"{name}={ratio!r}" for name, ratio in key.spec.overrides),
        "recovery": key.recovery.method,
        "recovery_images": key.recovery.images,
        "recovery_seed": key.recovery.seed,
        "data": key.data,
        "precision": key.precision,
        "algorithm": key.algorithm,
        "test_images": test_images,
        "subset_seed": key.subset_seed,
        "correct": result.evaluation.correct,
        "seen": result.evaluation.seen,
        "loss_sum": repr(result.loss_sum),
        **result.cost.to_json(),
        "compressed_bytes": "" if result.compressed_bytes is None else result.compressed_bytes,
        "device": origin.device,
        "versions": origin.versions,
        "seconds": f"{origin.seconds:.2f}",
        "date": origin.date,
    }


def _from_row(
    row: dict[str, str], predictions: np.ndarray, test_labels: np.ndarray, file: str
) -> Result:
    values = {name: _typed(name, row.get(name)) for name in COLUMNS}
    if values["test_images"] != len(test_labels):
        raise InputError(
            f"test_images is {values['test_images']}, but there are {len(test_labels)} labels."
        )
    subset, subset_seed = len(predictions), values["subset_seed"]
    if subset == len(test_labels) and subset_seed:
        raise InputError(
            f"subset_seed is {subset_seed}, but no seed draws the whole test set: it should be 0."
        )
    labels = test_labels[sorted_subset(test_labels, subset, subset_seed)]
    correct = int(np.count_nonzero(predictions == labels))
    if (values["correct"], values["seen"]) != (correct, subset):
        raise InputError(
            f"correct and seen are {values['correct']} and {values['seen']}, but the predictions "
            f"say {correct} and {subset}."
        )
    spec = PruningSpec(**{field.name: values[field.name] for field in fields(PruningSpec)})
    key = Key(
        checkpoint=values["checkpoint"],
        spec=spec,
        recovery=Recovery(values["recovery"], values["recovery_images"], values["recovery_seed"]),
        data=values["data"],
        subset=subset,
        subset_seed=subset_seed,
        precision=values["precision"],
        algorithm=values["algorithm"],
    )
    return Result(
        key=key,
        predictions=predictions,
        labels=labels,
        loss_sum=values["loss_sum"],
        cost=Cost(**{field.name: values[field.name] for field in fields(Cost)}),
        compressed_bytes=values["compressed_bytes"],
        origin=Origin(
            values["device"], values["versions"], values["seconds"], values["date"], file
        ),
    )


def _typed(name: str, text: str | None) -> Any:
    if text is None:
        raise InputError(f"the value of {name} is missing.")
    if name == "compressed_bytes" and not text:
        return None
    try:
        value = COLUMNS[name](text)
        if isinstance(value, float) and not math.isfinite(value) and name != "loss_sum":
            raise ValueError(text)
        if isinstance(value, int) and not 0 <= value < 2**63:
            raise ValueError(text)
    except ValueError as error:
        raise InputError(f"{name} should be {KINDS[COLUMNS[name]]}, not {text!r}.") from error
    return value
