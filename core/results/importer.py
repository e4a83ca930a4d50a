"""Taking shipped result files into the store, and out again when they change or go."""

import math
import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.errors import InputError
from core.results.database import Database, StoreError
from core.results.rows import INSERT, keep_labels, to_row
from core.results.shipped import RESULTS_SUFFIX, Shipped, array_file, read_shipped

SECONDS_BETWEEN_TRIES = 60  # after the disk was full or the store locked


@dataclass(frozen=True)
class ImportFailure:
    """Why one version of a shipped file was not taken in."""

    version: str
    why: str
    until: float = math.inf  # of time.monotonic(); for ever where the file itself is the reason


class ShippedImporter:
    """Keeps the rows of a database in step with the shipped files (*.results.csv) of a folder."""

    def __init__(self, folder: Path | None, database: Database):
        self._folder = folder
        self._database = database
        self._failures: dict[Path, ImportFailure] = {}
        self._refreshing = threading.RLock()  # refreshing may find damage, and then begins again

    @property
    def notes(self) -> list[str]:
        """Why files were not taken in."""
        return [refusal.why for refusal in [*self._failures.values()]]

    def refresh(self) -> None:
        """Take in the files that are new or changed, take out those that are gone.

        Rows of this machine stay. A file that cannot be read leaves a note, and the rows that were
        taken in before.
        """
        with self._refreshing:
            self._refresh()

    def import_all(self) -> None:
        """Take in all files, for a database that is new."""
        with self._refreshing:
            self._failures.clear()
            self._refresh()

    def _refresh(self) -> None:
        files = self._folder.glob(f"*{RESULTS_SUFFIX}") if self._folder is not None else ()
        shipped = {path: _version(path) for path in files}
        rows = self._database.read(
            lambda connection: connection.execute("SELECT * FROM shipped_files").fetchall()
        )
        known = {row["file"]: row["version"] for row in rows}
        now = time.monotonic()
        self._failures = {
            path: refusal
            for path, refusal in self._failures.items()
            if shipped.get(path) == refusal.version and now < refusal.until
        }
        gone = known.keys() - {path.name for path in shipped}
        for name in gone:
            self._database.write(partial(_remove, name))
        stale = [path for path, version in shipped.items() if version != known.get(path.name)]
        taken_in = [path for path in stale if self._import_file(path, shipped[path])]
        if gone or any(path.name in known for path in taken_in):
            for path in shipped.keys() - taken_in:  # may hold what the others no longer do
                self._import_file(path, shipped[path])

    def _import_file(self, path: Path, version: str) -> bool:
        """Replace a file's rows; return whether it was done. Not for a refused file."""
        if path in self._failures:
            return False
        try:
            self._replace(path.name, version, read_shipped(path))
        except StoreError as error:
            until = time.monotonic() + SECONDS_BETWEEN_TRIES
            self._failures[path] = ImportFailure(
                version, f"{path.name} was not taken in: {error}", until
            )
            return False
        except InputError as error:
            self._failures[path] = ImportFailure(version, str(error))
            return False
        return True

    def _replace(self, file: str, version: str, shipped: Shipped) -> None:
        rows = [to_row(result, shipped.test_labels) for result in shipped.results]
        data = {row["data"] for row in rows}

        def write(connection: sqlite3.Connection) -> None:
            _remove(file, connection)
            for each in data:
                keep_labels(connection, each, shipped.test_labels)
            connection.executemany(f"INSERT OR IGNORE {INSERT}", rows)
            connection.execute("INSERT INTO shipped_files VALUES (?, ?)", (file, version))

        self._database.write(write)


def _remove(file: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM results WHERE file = ?", (file,))
    connection.execute("DELETE FROM shipped_files WHERE file = ?", (file,))


def _version(path: Path) -> str:
    """Size and time of a CSV and of its array file, which change with their content."""
    stats = []
    for file in (path, array_file(path)):
        with suppress(FileNotFoundError):  # also one that is being replaced
            stats.append(file.stat())
    return " ".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats)
