"""Results as flat rows: values shared by SQLite and CSV, then the SQLite columns and tables."""

import hashlib
import json
import math
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from core.data.subsets import sorted_subset
from core.errors import InputError
from core.measuring.outcome import Cost
from core.results.database import Layout
from core.results.key import Key
from core.results.result import Origin, Result
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

COPIED_COLUMNS = (
    *("checkpoint", "architecture", "data", "algorithm", "subset_seed", "precision"),
    "evidence",
)
"""Columns copied from the key without conversion."""

KEY_COLUMNS = (  # queries fix all but the last three, so those come first in the index
    *("checkpoint", "architecture", "data", "algorithm", "settings", "recovery", "hundredths"),
    *("subset", "subset_seed", "precision"),
)
COST_COLUMNS = tuple(field.name for field in fields(Cost))
ORIGIN_COLUMNS = tuple(field.name for field in fields(Origin))
VALUE_COLUMNS = (
    *("positions", "correct", "loss_sum", *COST_COLUMNS, "compressed_bytes", *ORIGIN_COLUMNS),
    *("predictions", "codes"),
)
COLUMNS = (*KEY_COLUMNS, *VALUE_COLUMNS)

RESULTS = f"""
CREATE TABLE results (
    checkpoint TEXT NOT NULL, architecture TEXT NOT NULL DEFAULT 'resnet18', data TEXT NOT NULL,
    algorithm INTEGER NOT NULL, settings TEXT NOT NULL, recovery TEXT NOT NULL,
    hundredths INTEGER NOT NULL, subset INTEGER NOT NULL, subset_seed INTEGER NOT NULL,
    precision TEXT NOT NULL,
    positions TEXT, -- NULL where the layout was 1, and for the whole test set
    correct INTEGER NOT NULL, loss_sum REAL, -- NULL where it is no number
    parameters INTEGER NOT NULL, nonzero INTEGER NOT NULL,
    macs INTEGER NOT NULL, macs_nonzero REAL NOT NULL, bytes INTEGER NOT NULL,
    compressed_bytes INTEGER,
    device TEXT NOT NULL, versions TEXT NOT NULL, seconds REAL NOT NULL, date TEXT NOT NULL,
    file TEXT NOT NULL, recovery_seconds REAL,
    predictions BLOB NOT NULL,
    codes BLOB, -- of the confidences; NULL where they are not known
    shipped_as TEXT, -- the shipped file that has this key, also where it was measured again here
    PRIMARY KEY ({", ".join(KEY_COLUMNS)})
);
"""
SCHEMA = f"""
CREATE TABLE test_labels (
    data TEXT PRIMARY KEY, labels BLOB NOT NULL, dtype TEXT NOT NULL DEFAULT 'uint8'
);
CREATE TABLE shipped_files (file TEXT PRIMARY KEY, version TEXT NOT NULL);
{RESULTS}
"""
LATER_COLUMNS = ("architecture", "positions", "recovery_seconds", "codes")
LAYOUT_1_COLUMNS = ", ".join(name for name in COLUMNS if name not in LATER_COLUMNS)
FROM_LAYOUT_1 = f"""
ALTER TABLE test_labels ADD COLUMN dtype TEXT NOT NULL DEFAULT 'uint8';
ALTER TABLE results RENAME TO results_1;
{RESULTS}
INSERT INTO results ({LAYOUT_1_COLUMNS}) SELECT {LAYOUT_1_COLUMNS} FROM results_1;
DROP TABLE results_1;
DELETE FROM results WHERE file != '';
DELETE FROM shipped_files;
"""
# Without its files, everything shipped is imported anew, and so marked.
FROM_LAYOUT_4 = (
    "ALTER TABLE results ADD COLUMN shipped_as TEXT; "
    "DELETE FROM results WHERE file != ''; DELETE FROM shipped_files;"
)
FROM_LAYOUT_3 = f"ALTER TABLE results ADD COLUMN codes BLOB; {FROM_LAYOUT_4}"
FROM_LAYOUT_2 = f"ALTER TABLE results ADD COLUMN recovery_seconds REAL; {FROM_LAYOUT_3}"
LAYOUT = Layout(
    version=5,
    schema=SCHEMA,
    upgrades={1: FROM_LAYOUT_1, 2: FROM_LAYOUT_2, 3: FROM_LAYOUT_3, 4: FROM_LAYOUT_4},
)

IMPORT = (
    f"INSERT INTO results ({', '.join(COLUMNS)}, shipped_as) "
    f"VALUES (:{', :'.join(COLUMNS)}, :file) "
    "ON CONFLICT DO UPDATE SET shipped_as = excluded.shipped_as"
)
"""Inserts a shipped row; where there is one of the same key, only notes that it is shipped."""
UPSERT = (
    f"INSERT INTO results ({', '.join(COLUMNS)}) VALUES (:{', :'.join(COLUMNS)}) "
    "ON CONFLICT DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in VALUE_COLUMNS)}"
)


def to_values(result: Result, test_labels: np.ndarray) -> dict[str, Any]:
    """Flatten all but spec, recovery and arrays, with `test_labels` (images,) of the whole set."""
    key = result.key
    return {
        **{name: getattr(key, name) for name in COPIED_COLUMNS},
        "positions": _digest(key.subset, key.subset_seed, test_labels),
        "correct": result.evaluation.correct,
        "loss_sum": result.loss_sum,
        **result.cost.to_json(),
        "compressed_bytes": result.compressed_bytes,
        **{name: getattr(result.origin, name) for name in ORIGIN_COLUMNS},
    }


def from_values(
    values: Mapping[str, Any],
    spec: PruningSpec,
    recovery: Recovery,
    predictions: np.ndarray,
    test_labels: np.ndarray,
    codes: np.ndarray | None = None,
) -> Result:
    """Undo `to_values`.

    Raises InputError if `correct` does not match the predictions, or if the seed now draws other
    images than those the file was written for.
    """
    subset, seed = len(predictions), values["subset_seed"]
    if values["positions"] not in (None, _digest(subset, seed, test_labels)):
        raise InputError(
            f"positions is {values['positions']}, but the seed {seed} draws other images."
        )
    labels = test_labels[sorted_subset(test_labels, subset, seed)]
    if values["correct"] != np.count_nonzero(predictions == labels):
        raise InputError(f"correct is {values['correct']}, but the predictions say otherwise.")
    return Result(
        key=Key(
            spec=spec,
            recovery=recovery,
            subset=subset,
            **{name: values[name] for name in COPIED_COLUMNS},
        ),
        predictions=predictions,
        labels=labels,
        loss_sum=values["loss_sum"],
        cost=Cost(**{name: values[name] for name in COST_COLUMNS}),
        compressed_bytes=values["compressed_bytes"],
        origin=Origin(**{name: values[name] for name in ORIGIN_COLUMNS}),
        codes=codes,
    )


def parameters_of(key: Key, whole: int | None = None) -> dict[str, Any]:
    """Return the key as named parameters of a query; `whole` is the size of the whole test set."""
    return {
        **{name: getattr(key, name) for name in KEY_COLUMNS},
        "recovery": key.recovery_settings,
        "whole": whole,
    }


def to_row(result: Result, test_labels: np.ndarray) -> dict[str, Any]:
    """Return the named values of INSERT and UPSERT."""
    predictions = zlib.compress(result.predictions.tobytes())
    return {
        **to_values(result, test_labels),
        **parameters_of(result.key),
        "predictions": predictions,
        "codes": None if result.codes is None else zlib.compress(result.codes.tobytes()),
    }


def from_row(row: sqlite3.Row, test_labels: np.ndarray) -> Result:
    """Undo `to_row`. Raises zlib.error or ValueError where the row is damaged."""
    content = zlib.decompress(row["predictions"])
    predictions = np.frombuffer(content, np.uint8 if len(content) == row["subset"] else np.uint16)
    if len(predictions) != row["subset"]:
        raise ValueError("The number of predictions differs from the number of images.")
    codes = None
    if row["codes"] is not None:
        codes = np.frombuffer(zlib.decompress(row["codes"]), np.uint8)
    settings = json.loads(row["settings"])
    values = {
        "loss_sum": math.nan if row["loss_sum"] is None else row["loss_sum"],
        "evidence": settings.pop("evidence", ""),
    }
    return from_values(
        dict(row) | values,
        PruningSpec(ratio=row["hundredths"] / 100, **settings),
        Recovery(**json.loads(row["recovery"])),
        predictions,
        test_labels,
        codes,
    )


def keep_labels(connection: sqlite3.Connection, data: str, labels: np.ndarray) -> None:
    """Store the labels of a whole test set by the data's fingerprint, unless they are stored."""
    connection.execute(
        "INSERT OR IGNORE INTO test_labels VALUES (?, ?, ?)",
        (data, zlib.compress(labels.tobytes()), labels.dtype.name),
    )


def _digest(subset: int, seed: int, test_labels: np.ndarray) -> str | None:
    """Hash a subset's positions; return None for the whole test set, which is not drawn."""
    if subset == len(test_labels):
        return None
    positions = sorted_subset(test_labels, subset, seed).astype("<i8")
    return hashlib.sha256(positions.tobytes()).hexdigest()[:16]
