"""Results that nobody measured: random numbers in every field, the same ones for the same key."""

import csv
import io
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.data.dataset import subset_indices
from core.measuring.outcome import Cost
from core.results import Key, Origin, Result, ResultStore, export
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

WHOLE = 300  # images of the test set

LABELS: np.ndarray = (
    np.random.default_rng(0).choice(10, WHOLE, p=np.arange(1, 11) / 55).astype(np.uint8)
)
"""Classes of the test set, which are not equally large."""


def key_of(method: str = "fine", ratio: float = 0.3, *, spec: Any = (), **changes: Any) -> Key:
    """`spec`: further settings of the pruning."""
    usual: dict[str, Any] = {
        "checkpoint": "0123456789abcdef",
        "spec": PruningSpec(method, ratio, **dict(spec)),
        "recovery": Recovery(),
        "data": "fedcba9876543210",
        "subset": WHOLE,
        "subset_seed": 0,
        "precision": "bf16",
    }
    return Key(**(usual | changes))


def positions_of(key: Key) -> np.ndarray:
    drawn = subset_indices(torch.from_numpy(LABELS.astype(np.int64)), key.subset, key.subset_seed)
    return np.array(sorted(drawn.tolist()))


def result_of(key: Key, version: int = 0, **changes: Any) -> Result:
    """`version`: other numbers for the same key."""
    rng = np.random.default_rng([zlib.crc32(repr(key).encode()), version])
    labels = LABELS[positions_of(key)]
    guesses = rng.integers(0, 10, len(labels), dtype=np.uint8)
    parameters, nonzero, macs, size, compressed = (int(n) for n in rng.integers(1, 2**40, 5))
    usual: dict[str, Any] = {
        "key": key,
        "predictions": np.where(rng.random(len(labels)) < 0.5, labels, guesses),
        "labels": labels,
        "loss_sum": float(rng.random() * 1000),
        "cost": Cost(parameters, nonzero, macs, float(rng.random() * 2**40), size),
        "compressed_bytes": compressed,
        "origin": Origin(
            device=("cpu", "cuda", "mps")[rng.integers(3)],
            versions=f"torch 2.{rng.integers(100)}.0",
            seconds=int(rng.integers(1, 10_000)) / 100,
            date=f"2026-11-{rng.integers(1, 31):02}T12:00:00+00:00",
        ),
    }
    # Last, so that the numbers above are what they were; of every other result they are not known.
    codes = rng.integers(1, 256, len(labels), dtype=np.uint8)
    usual["codes"] = codes if rng.random() < 0.5 else None
    return Result(**(usual | changes))


def differences(found: Result | None, expected: Result) -> list[str]:
    """The names of the fields that differ; to be compared with []."""
    assert found is not None, "there is no result"
    differing = []
    for field in fields(Result):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(theirs, np.ndarray):
            same = mine.dtype == theirs.dtype and np.array_equal(mine, theirs)
        else:
            same = type(mine) is type(theirs) and mine == theirs
        if not same:
            differing.append(field.name)
    return differing


def put(store: ResultStore, *results: Result) -> None:
    store.put(results, LABELS)


SHIPPED = [result_of(key_of("channel", ratio)) for ratio in (0.1, 0.2, 0.3)]


def ship(folder: Path, *results: Result, name: str = "some") -> Path:
    """Write a file of results into the folder."""
    path = folder / f"{name}.results.csv"
    export(results or SHIPPED, path, "python -m core sweep --shipped", LABELS)
    return path


def lines_of(path: Path) -> list[list[str]]:
    """The cells of a CSV, the columns' names first, without the comment."""
    comment, _, rest = path.read_text(encoding="utf-8").partition("\n")
    assert comment.startswith("#")
    return list(csv.reader(io.StringIO(rest)))


def edit(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    """Change the cells of a CSV, as `lines_of` gives them."""
    lines = lines_of(path)
    change(lines)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    comment = path.read_text(encoding="utf-8").partition("\n")[0]
    path.write_text(f"{comment}\n{text.getvalue()}", encoding="utf-8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store can be."""
    return tmp_path / "local" / "results.sqlite"


@pytest.fixture
def store(path: Path) -> ResultStore:
    """An empty one."""
    return ResultStore(path)
