"""The store of results in SQLite; shipped results are imported from CSV files."""

import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from core import paths
from core.results.database import Database
from core.results.importer import ShippedImporter
from core.results.key import ALGORITHM, Key
from core.results.result import CurvePoint, Outcome, Result
from core.results.rows import (
    KEY_COLUMNS,
    LAYOUT,
    UPSERT,
    from_row,
    keep_labels,
    parameters_of,
    to_row,
)

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
WORST_FIRST = "subset, precision = :precision"  # more images is better, then the same precision


class ResultStore:
    """The results in one file, which any number of threads and processes may use.

    Shipped results (*.results.csv) are imported from `folder`. `notes` are messages for the user,
    such as that a damaged file was renamed or that the disk is full.
    """

    def __init__(self, path: Path, folder: Path | None = None):
        self._notes: list[str] = []
        self._labels: dict[str, np.ndarray] = {}  # cache by fingerprint; never stale
        self._database = Database(path, LAYOUT, refill=lambda: self._importer.import_all())
        self._importer = ShippedImporter(folder, self._database)
        self.refresh()

    @property
    def notes(self) -> list[str]:
        trouble = [self._database.trouble] if self._database.trouble else []
        return [*self._database.notes, *self._notes, *self._importer.notes, *trouble]

    @property
    def path(self) -> Path:
        """The path of the file, which may be in a temporary folder."""
        return self._database.path

    def find(self, key: Key) -> Result | None:
        """Return the best result for `key`, or None.

        A result on the whole test set, or on a larger subset of the same seed, also matches and is
        preferred. Among equal numbers of images, the key's precision is preferred.
        """
        return self._best(key, f"{COVERS_SUBSET} AND hundredths = :hundredths")

    def get(self, key: Key) -> Result | None:
        """Return the result of exactly this key, or None."""
        return self._best(key, SAME_KEY)

    def has(self, key: Key) -> bool:
        """Return whether there is a result of exactly this key."""
        return bool(self._query(f"SELECT 1 FROM results WHERE {SAME_KEY}", parameters_of(key)))

    def curve(self, key: Key) -> list[CurvePoint]:
        """Return the best result at every ratio of the key's settings, ascending.

        The key's own ratio is ignored, but must not be 0, where the spec does not keep its method.
        The point at ratio 0 is what is left to do there: for most curves the unpruned network.
        """
        labels = self.test_labels(key.data)
        if labels is None:
            return []
        start = replace(key, spec=replace(key.spec, ratio=0.0))
        best = {
            row["hundredths"] if ratios == "> 0" else 0: row
            for each, ratios in ((start, f"= {start.hundredths}"), (key, "> 0"))
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
        """Return the correct images of all specs with the images, recovery and precision of `key`.

        The result is indexed by (settings, ratio in hundredths); the spec of `key` is ignored.
        """
        rows = self._query(
            f"SELECT settings, hundredths, correct FROM results WHERE {SAME_NETWORK} "
            "AND subset = :subset AND subset_seed = :subset_seed AND precision = :precision",
            parameters_of(key),
        )
        return {(row["settings"], row["hundredths"]): row["correct"] for row in rows}

    def on_images(self, data: str, subset: int, seed: int) -> list[Outcome]:
        """Return the counts of all results, of all baselines, on a subset of a data set."""
        columns = [field.name for field in fields(Outcome)]
        rows = self._query(
            f"SELECT {', '.join(columns)} "
            "FROM results WHERE data = :data AND subset = :subset AND subset_seed = :seed "
            "AND algorithm = :algorithm",
            {"data": data, "subset": subset, "seed": seed, "algorithm": ALGORITHM},
        )
        return [Outcome(**dict(row)) for row in rows]

    @property
    def shipped_files(self) -> tuple[tuple[str, str], ...]:
        """The name and version of each shipped file that was imported."""
        rows = self._query("SELECT file, version FROM shipped_files ORDER BY file", {})
        return tuple((row["file"], row["version"]) for row in rows)

    def shipped_on_everything(self, data: str) -> Iterator[Result]:
        """Yield the shipped results, of all baselines, on the whole test set of a data set.

        One that was measured again on this machine is yielded as measured here.
        """
        labels = self.test_labels(data)
        if labels is None:
            return
        for row in self._query(
            "SELECT * FROM results "
            "WHERE data = :data AND subset = :whole AND shipped_as IS NOT NULL",
            {"data": data, "whole": len(labels)},
        ):
            if result := self._read(row, labels):
                yield result

    def judged_by_all(self, key: Key, least: int) -> Iterator[Result]:
        """Yield a baseline's results on the whole test set that have `least` images right or more.

        Of `key` the baseline, the data, the algorithm and the precision count.
        """
        labels = self.test_labels(key.data)
        if labels is None:
            return
        for row in self._query(
            "SELECT * FROM results WHERE checkpoint = :checkpoint AND data = :data "
            "AND architecture = :architecture AND algorithm = :algorithm "
            "AND precision = :precision AND subset = :whole AND correct >= :least",
            parameters_of(key, whole=len(labels)) | {"least": least},
        ):
            if result := self._read(row, labels):
                yield result

    def put(self, results: Sequence[Result], test_labels: np.ndarray) -> None:
        """Store results in one transaction; replace results with the same key.

        `test_labels` are the compact labels (images,) of the whole test set. Raises StoreError if
        the store cannot be written.
        """
        rows = [to_row(result, test_labels) for result in results]

        def write(connection: sqlite3.Connection) -> None:
            for data in {result.key.data for result in results}:
                keep_labels(connection, data, test_labels)
            connection.executemany(UPSERT, rows)

        self._database.write(write)

    def test_labels(self, data: str) -> np.ndarray | None:
        """Return the stored labels (images,) of a data set's whole test set, or None."""
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
        """Import new and changed shipped files, without replacing local results.

        A file that cannot be read adds a note; rows imported from it earlier are kept.
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
        return self._read(rows[-1], labels) if rows else None

    def _read(self, row: sqlite3.Row, labels: np.ndarray) -> Result | None:
        """Return a row's result; remove the row and return None where it is damaged."""
        try:
            return from_row(row, labels)
        except (zlib.error, ValueError):
            row_key = {name: row[name] for name in KEY_COLUMNS}
            self._remove_damaged("results", row_key, "A stored result")
            return None

    def _remove_damaged(self, table: str, row: Mapping[str, Any], what: str) -> None:
        """Delete a row and mark the shipped files for a new import, which may restore it."""
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
    """Open the store of a folder of checkpoints (default: CHECKPOINTS) with its shipped files."""
    folder = folder or paths.CHECKPOINTS
    return ResultStore(folder / paths.LOCAL / "results.sqlite", folder)
