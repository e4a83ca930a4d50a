"""A result as a row of SQLite: the columns, and the ways there and back."""

import json
import math
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from core.data.subsets import sorted_subset
from core.measuring.outcome import Cost
from core.results.key import Key
from core.results.result import Origin, Result
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE test_labels (data TEXT PRIMARY KEY, labels BLOB NOT NULL);
CREATE TABLE shipped_files (file TEXT PRIMARY KEY, version TEXT NOT NULL);
CREATE TABLE results (
    checkpoint TEXT NOT NULL, data TEXT NOT NULL, algorithm INTEGER NOT NULL,
    settings TEXT NOT NULL, recovery TEXT NOT NULL, hundredths INTEGER NOT NULL,
    subset INTEGER NOT NULL, subset_seed INTEGER NOT NULL, precision TEXT NOT NULL,
    correct INTEGER NOT NULL, loss_sum REAL, -- NULL where it is no number
    parameters INTEGER NOT NULL, nonzero INTEGER NOT NULL,
    macs INTEGER NOT NULL, macs_nonzero REAL NOT NULL, bytes INTEGER NOT NULL,
    compressed_bytes INTEGER,
    device TEXT NOT NULL, versions TEXT NOT NULL, seconds REAL NOT NULL, date TEXT NOT NULL,
    file TEXT NOT NULL,
    predictions BLOB NOT NULL,
    PRIMARY KEY (checkpoint, data, algorithm, settings, recovery, hundredths,
                 subset, subset_seed, precision)
);
"""
KEY_COLUMNS = (
    "checkpoint",
    "data",
    "algorithm",
    "settings",
    "recovery",
    "hundredths",
    "subset",
    "subset_seed",
    "precision",
)
COST_COLUMNS = tuple(field.name for field in fields(Cost))
ORIGIN_COLUMNS = tuple(field.name for field in fields(Origin))
VALUE_COLUMNS = (
    "correct",
    "loss_sum",
    *COST_COLUMNS,
    "compressed_bytes",
    *ORIGIN_COLUMNS,
    "predictions",
)
COLUMNS = (*KEY_COLUMNS, *VALUE_COLUMNS)
INSERT = f"INTO results ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
UPSERT = (
    f"INSERT {INSERT} ON CONFLICT DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in VALUE_COLUMNS)}"
)


def parameters_of(key: Key, whole: int | None = None) -> dict[str, Any]:
    """The key as named parameters of a query. `whole`: how many images the whole test set has."""
    return {
        "checkpoint": key.checkpoint,
        "data": key.data,
        "algorithm": key.algorithm,
        "settings": key.settings,
        "recovery": key.recovery_settings,
        "hundredths": key.hundredths,
        "subset": key.subset,
        "subset_seed": key.subset_seed,
        "precision": key.precision,
        "whole": whole,
    }


def to_row(result: Result) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    values = parameters_of(result.key) | {
        "correct": result.evaluation.correct,
        "loss_sum": result.loss_sum,
        **result.cost.to_json(),
        "compressed_bytes": result.compressed_bytes,
        **{name: getattr(result.origin, name) for name in ORIGIN_COLUMNS},
        "predictions": zlib.compress(result.predictions.tobytes()),
    }
    return tuple(values[name] for name in COLUMNS)


def keep_labels(connection: sqlite3.Connection, labels: Mapping[str, np.ndarray]) -> None:
    """Write the classes of whole test sets, uint8 (images,), by the data's fingerprint."""
    connection.executemany(
        "INSERT OR IGNORE INTO test_labels VALUES (?, ?)",
        [(data, zlib.compress(array.tobytes())) for data, array in labels.items()],
    )


def _to_key(row: sqlite3.Row) -> Key:
    return Key(
        checkpoint=row["checkpoint"],
        spec=PruningSpec(ratio=row["hundredths"] / 100, **json.loads(row["settings"])),
        recovery=Recovery(**json.loads(row["recovery"])),
        data=row["data"],
        subset=row["subset"],
        subset_seed=row["subset_seed"],
        precision=row["precision"],
        algorithm=row["algorithm"],
    )


def to_result(row: sqlite3.Row, test_labels: np.ndarray) -> Result:
    """Raises zlib.error or ValueError where the row is damaged."""
    positions = sorted_subset(test_labels, row["subset"], row["subset_seed"])
    return Result(
        key=_to_key(row),
        predictions=np.frombuffer(zlib.decompress(row["predictions"]), np.uint8),
        labels=test_labels[positions],
        loss_sum=math.nan if row["loss_sum"] is None else row["loss_sum"],
        cost=Cost(**{name: row[name] for name in COST_COLUMNS}),
        compressed_bytes=row["compressed_bytes"],
        origin=Origin(**{name: row[name] for name in ORIGIN_COLUMNS}),
    )
