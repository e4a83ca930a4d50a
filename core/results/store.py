"""Results in SQLite, shared by threads and processes; shipped ones are taken in from CSV files."""

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core import paths
from core.results.database import Database
from core.results.importer import ShippedImporter
from core.results.key import Key
from core.results.result import CurvePoint, Result
from core.results.rows import (
    KEY_COLUMNS,
    LAYOUT,
    UPSERT,
    from_row,
    keep_labels,
    parameters_of,
    to_row,
)
from core.specs.point import UNPRUNED

SAME_KEY = " AND ".join(f"{name} = :{name}" for name in KEY_COLUMNS)
CURVE_COLUMNS = ("correct", "parameters", "nonzero", "macs", "precision", "file")
SAME_NETWORK = """
    checkpoint = :checkpoint AND architecture = :architecture AND data = :data
    AND algorithm = :algorithm AND recovery = :recovery
"""
COVERS_SUBSET = f"""
    {SAME_NETWORK} AND settings = :settings
    AND (subset = :whole OR (subset >= :subset AND subset_seed = :subset_seed))
"""
WORST_FIRST = "subset, precision = :precision"  # more images first of all, then the precision


class ResultStore:
    """All results under one path. Any number of threads and processes may use one file.

    `folder` is where shipped results (*.results.csv) are looked for. `notes` are sentences that a
    person should see, such as that a damaged file was set aside, or that the disk is full.
    """

    def __init__(self, path: Path, folder: Path | None = None):
        self._notes: list[str] = []
        self._labels: dict[str, np.ndarray] = {}  # by the data's fingerprint, so they never change
        self._database = Database(path, LAYOUT, refill=lambda: self._importer.import_all())
        self._importer = ShippedImporter(folder, self._database)
        self.refresh()

    @property
    def notes(self) -> list[str]:
        trouble = [self._database.trouble] if self._database.trouble else []
        return [*self._database.notes, *self._notes, *self._importer.notes, *trouble]

    @property
    def path(self) -> Path:
        """Where the file is: as asked, or in a temporary folder."""
        return self._database.path

    def find(self, key: Key) -> Result | None:
        """Return the best answer to `key`, None where there is none.

        A result on the whole test set is preferred to one on the subset asked for, and the
        precision asked for to the other one; a larger subset of the same seed answers too.
        """
        return self._best(key, f"{COVERS_SUBSET} AND hundredths = :hundredths")

    def get(self, key: Key) -> Result | None:
        """Return the result of exactly this key, None where there is none."""
        return self._best(key, SAME_KEY)

    def has(self, key: Key) -> bool:
        """Whether there is a result of exactly this key."""
        return bool(self._query(f"SELECT 1 FROM results WHERE {SAME_KEY}", parameters_of(key)))

    def curve(self, key: Key) -> list[CurvePoint]:
        """Return the best answer at every ratio of the key's settings, ascending.

        The key's own ratio has no effect, but it cannot be 0, where all methods are one. The
        unpruned network is the point at ratio 0 of every curve without overrides.
        """
        labels = self.test_labels(key.data)
        if labels is None:
            return []
        wanted = (
            [(key, ">= 0")]
            if key.spec.overrides
            else [(replace(key, spec=UNPRUNED), "= 0"), (key, "> 0")]
        )
        best = {
            row["hundredths"]: row
            for each, ratios in wanted
            for row in self._query(
                f"SELECT hundredths, subset, {', '.join(CURVE_COLUMNS)} FROM results "
                f"WHERE {COVERS_SUBSET} AND hundredths {ratios} ORDER BY hundredths, {WORST_FIRST}",
                parameters_of(each, whole=len(labels)),
            )
        }
        return [
            CurvePoint(
                ratio=hundredths / 100,
                seen=row["subset"],
                **{name: row[name] for name in CURVE_COLUMNS},
            )
            for hundredths, row in best.items()
        ]

    def counts(self, key: Key) -> dict[tuple[str, int], int]:
        """Count the right images of every pruning, on the images, recovery and precision of `key`.

        By the settings and the ratio in hundredths; the spec of `key` plays no role.
        """
        rows = self._query(
            f"SELECT settings, hundredths, correct FROM results WHERE {SAME_NETWORK} "
            "AND subset = :subset AND subset_seed = :subset_seed AND precision = :precision",
            parameters_of(key),
        )
        return {(row["settings"], row["hundredths"]): row["correct"] for row in rows}

    def put(self, results: Sequence[Result], test_labels: np.ndarray) -> None:
        """Keep results in one transaction; a result of the same key is replaced.

        `test_labels`, compact classes (images,), are those of the whole test set. Raises StoreError
        where the store cannot be written.
        """
        rows = [to_row(result, test_labels) for result in results]

        def write(connection: sqlite3.Connection) -> None:
            for data in {result.key.data for result in results}:
                keep_labels(connection, data, test_labels)
            connection.executemany(UPSERT, rows)

        self._database.write(write)

    def test_labels(self, data: str) -> np.ndarray | None:
        """Return the classes of a data set's test images, (images,), where any result has them."""
        if data not in self._labels:
            rows = self._query("SELECT * FROM test_labels WHERE data = :data", {"data": data})
            if not rows:
                return None
            try:
                content = zlib.decompress(rows[0]["labels"])
            except zlib.error:
                self._remove_damaged("test_labels", {"data": data}, "A list of stored labels")
                return None
            self._labels[data] = np.frombuffer(content, rows[0]["dtype"])
        return self._labels[data]

    def refresh(self) -> None:
        """Take in the shipped files that are new or changed, never over local rows.

        A file that cannot be read leaves a note, and what was taken in before.
        """
        self._database.probe()
        self._importer.refresh()

    def _best(self, key: Key, condition: str) -> Result | None:
        labels = self.test_labels(key.data)
        if labels is None:
            return None
        rows = self._query(
            f"SELECT * FROM results WHERE {condition} ORDER BY {WORST_FIRST}",
            parameters_of(key, whole=len(labels)),
        )
        if not rows:
            return None
        try:
            return from_row(rows[-1], labels)
        except (zlib.error, ValueError):
            row_key = {name: rows[-1][name] for name in KEY_COLUMNS}
            self._remove_damaged("results", row_key, "A stored result")
            return None

    def _remove_damaged(self, table: str, row: Mapping[str, Any], what: str) -> None:
        """Remove a row, and have the shipped files taken in again, which may bring it back."""
        condition = " AND ".join(f"{name} = :{name}" for name in row)

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute(f"DELETE FROM {table} WHERE {condition}", row)
            connection.execute("DELETE FROM shipped_files")

        self._database.write(remove)
        self._notes.append(f"{what} was damaged and has been removed.")

    def _query(self, sql: str, parameters: dict[str, Any]) -> list[sqlite3.Row]:
        return self._database.read(
            lambda connection: connection.execute(sql, parameters).fetchall()
        )


def open_store(folder: Path | None = None) -> ResultStore:
    """Open the store of a folder of checkpoints, by default CHECKPOINTS, with its shipped files."""
    folder = folder or paths.CHECKPOINTS
    return ResultStore(folder / paths.LOCAL / "results.sqlite", folder)
