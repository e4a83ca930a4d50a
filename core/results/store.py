"""Results in SQLite, shared by threads and processes; what ships is taken in from CSV files."""

import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core import paths
from core.results.database import Answer, DamagedError, Database, transaction
from core.results.intake import Intake
from core.results.key import Key
from core.results.result import CurvePoint, Result
from core.results.rows import (
    KEY_COLUMNS,
    SCHEMA,
    SCHEMA_VERSION,
    UPSERT,
    keep_labels,
    parameters_of,
    to_result,
    to_row,
)
from core.specs.point import UNPRUNED

EXACTLY = " AND ".join(f"{name} = :{name}" for name in KEY_COLUMNS)
CURVE_COLUMNS = ("correct", "parameters", "nonzero", "macs", "precision", "file")
# Of several answers the last one of this order is the best: more images, then the precision asked.
ON_THESE_IMAGES = """
    checkpoint = :checkpoint AND data = :data AND algorithm = :algorithm
    AND settings = :settings AND recovery = :recovery
    AND (subset = :whole OR (subset >= :subset AND subset_seed = :subset_seed))
"""
BEST_LAST = "subset, precision = :precision"


class ResultStore:
    """All results under one path. Any number of threads and processes may use one file.

    `folder` is where shipped results (*.results.csv) are looked for. `notes` are sentences that a
    person should see, such as that a damaged file was set aside, or that the disk is full.
    """

    def __init__(self, path: Path, folder: Path | None = None):
        self._database = Database(path, SCHEMA, SCHEMA_VERSION)
        self._notes: list[str] = []
        self._labels: dict[str, np.ndarray] = {}  # of the data sets asked for
        self._intake = Intake(folder, self._query, self._run)
        self.refresh()

    @property
    def notes(self) -> list[str]:
        trouble = [self._database.trouble] if self._database.trouble else []
        return [*self._database.notes, *self._notes, *self._intake.notes, *trouble]

    @property
    def path(self) -> Path:
        """Where the file is: as asked, or in a temporary folder."""
        return self._database.path

    def find(self, key: Key) -> Result | None:
        """The best answer to `key`, None where there is none.

        A result on the whole test set is preferred to one on the subset asked for, and the
        precision asked for to the other one; a larger subset of the same seed answers too.
        """
        labels = self.test_labels(key.data)
        if labels is None:
            return None
        rows = self._query(
            f"SELECT * FROM results WHERE {ON_THESE_IMAGES} AND hundredths = :hundredths "
            f"ORDER BY {BEST_LAST}",
            parameters_of(key, whole=len(labels)),
        )
        return self._readable(rows[-1], labels) if rows else None

    def curve(self, key: Key) -> list[CurvePoint]:
        """The best answer at every ratio of the key's settings, ascending.

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
        columns = f"hundredths, subset, {', '.join(CURVE_COLUMNS)}"
        queries = [
            (
                f"SELECT {columns} FROM results WHERE {ON_THESE_IMAGES} AND hundredths {ratios} "
                f"ORDER BY hundredths, {BEST_LAST}",
                parameters_of(each, whole=len(labels)),
            )
            for each, ratios in wanted
        ]
        rows = self._anew(
            self._database.read,
            lambda connection: [row for query in queries for row in connection.execute(*query)],
        )
        best = {row["hundredths"]: row for row in rows}
        return [
            CurvePoint(
                ratio=hundredths / 100,
                seen=row["subset"],
                **{name: row[name] for name in CURVE_COLUMNS},
            )
            for hundredths, row in best.items()
        ]

    def counts(self, key: Key) -> dict[tuple[str, int], int]:
        """How many images each pruning gets right, on the images, recovery and precision of `key`.

        By the settings and the ratio in hundredths; the spec of `key` plays no role.
        """
        rows = self._query(
            "SELECT settings, hundredths, correct FROM results WHERE checkpoint = :checkpoint "
            "AND data = :data AND algorithm = :algorithm AND recovery = :recovery "
            "AND subset = :subset AND subset_seed = :subset_seed AND precision = :precision",
            parameters_of(key),
        )
        return {(row["settings"], row["hundredths"]): row["correct"] for row in rows}

    def has(self, key: Key) -> bool:
        """Whether there is a result of exactly this key."""
        return bool(self._query(f"SELECT 1 FROM results WHERE {EXACTLY}", parameters_of(key)))

    def get(self, key: Key) -> Result | None:
        """The result of exactly this key, None where there is none."""
        labels = self.test_labels(key.data)
        rows = self._query(f"SELECT * FROM results WHERE {EXACTLY}", parameters_of(key))
        return self._readable(rows[0], labels) if rows and labels is not None else None

    def put(self, results: Sequence[Result], test_labels: np.ndarray) -> None:
        """Keep results in one transaction; a result of the same key is replaced.

        `test_labels`, uint8 (images,), are those of the whole test set. Raises StoreError where
        the store cannot be written.
        """
        rows = [to_row(result) for result in results]
        labels = {result.key.data: test_labels for result in results}

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                keep_labels(connection, labels)
                connection.executemany(UPSERT, rows)

        self._run(write)

    def test_labels(self, data: str) -> np.ndarray | None:
        """The classes of a data set's test images, uint8 (images,), where any result knows them."""
        if data not in self._labels:  # by fingerprint, so they never change
            rows = self._query("SELECT labels FROM test_labels WHERE data = :data", {"data": data})
            if not rows:
                return None
            try:
                labels = np.frombuffer(zlib.decompress(rows[0]["labels"]), np.uint8)
            except zlib.error:
                self._remove_damaged("test_labels", {"data": data}, "A list of stored labels")
                return None
            self._labels[data] = labels
        return self._labels[data]

    def refresh(self) -> None:
        """Take in the shipped files that are new or changed, never over local rows.

        A file that cannot be read leaves a note, and what was taken in before.
        """
        self._intake.refresh()

    def _readable(self, row: sqlite3.Row, labels: np.ndarray) -> Result | None:
        """The row's result; a row that is damaged, which SQLite does not see, is removed."""
        try:
            return to_result(row, labels)
        except (zlib.error, ValueError):
            key = {name: row[name] for name in KEY_COLUMNS}
            self._remove_damaged("results", key, "A stored result")
            return None

    def _remove_damaged(self, table: str, row: Mapping[str, Any], what: str) -> None:
        """Remove a row, and have what ships taken in again, which may bring it back."""
        condition = " AND ".join(f"{name} = :{name}" for name in row)

        def remove(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(f"DELETE FROM {table} WHERE {condition}", row)
                connection.execute("DELETE FROM shipped_files")

        self._run(remove)
        self._notes.append(f"{what} was damaged and has been removed.")

    def _query(self, sql: str, parameters: dict[str, Any]) -> list[sqlite3.Row]:
        return self._anew(
            self._database.read, lambda connection: connection.execute(sql, parameters).fetchall()
        )

    def _run(self, action: Callable[[sqlite3.Connection], Answer]) -> Answer:
        return self._anew(self._database.run, action)

    def _anew(
        self,
        way: Callable[[Callable[[sqlite3.Connection], Answer]], Answer],
        action: Callable[[sqlite3.Connection], Answer],
    ) -> Answer:
        """Run `action`; where the file was damaged, on a new one with what ships."""
        try:
            return way(action)
        except DamagedError:
            self._intake.begin_again()
            return way(action)


def open_store(folder: Path | None = None) -> ResultStore:
    """The store of a folder of checkpoints, CHECKPOINTS unless told, with the results there."""
    folder = folder or paths.CHECKPOINTS
    return ResultStore(folder / paths.LOCAL / "results.sqlite", folder)
