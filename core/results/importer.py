"""Import shipped result files into the store, and remove their rows when files change."""

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
from core.results.rows import IMPORT, keep_labels, to_row
from core.results.shipped import RESULTS_SUFFIX, Shipped, array_file, read_shipped

SECONDS_BETWEEN_TRIES = 60  # after the disk was full or the store locked


@dataclass(frozen=True)
class ImportFailure:
    """Why one version of a shipped file was not imported."""

    version: str
    why: str
    until: float = math.inf  # time.monotonic() of the next retry; never for a faulty file


class ShippedImporter:
    """Synchronises a database with the shipped files (*.results.csv) of a folder."""

    def __init__(self, folder: Path | None, database: Database):
        self._folder = folder
        self._database = database
        self._failures: dict[Path, ImportFailure] = {}
        self._refreshing = threading.RLock()  # reentrant: refreshing may repair, which imports all

    @property
    def notes(self) -> list[str]:
        """Messages about files that were not imported."""
        return [refusal.why for refusal in [*self._failures.values()]]

    def refresh(self) -> None:
        """Import new and changed files, and remove the rows of deleted ones.

        Rows measured on this machine are kept. A file that cannot be read adds a note; the rows
        imported from it earlier are kept.
        """
        with self._refreshing:
            self._refresh()

    def import_all(self) -> None:
        """Import all files into a new database."""
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
        imported = [path for path in stale if self._import_file(path, shipped[path])]
        if gone or any(path.name in known for path in imported):
            for path in shipped.keys() - imported:  # may contain rows that the removed ones had
                self._import_file(path, shipped[path])

    def _import_file(self, path: Path, version: str) -> bool:
        """Replace a file's rows and return True; return False if this or an earlier try failed."""
        if path in self._failures:
            return False
        try:
            self._replace(path.name, version, read_shipped(path))
        except StoreError as error:
            until = time.monotonic() + SECONDS_BETWEEN_TRIES
            self._failures[path] = ImportFailure(
                version, f"{path.name} was not imported: {error}", until
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
            connection.executemany(IMPORT, rows)
            connection.execute("INSERT INTO shipped_files VALUES (?, ?)", (file, version))

        self._database.write(write)


def _remove(file: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM results WHERE file = ?", (file,))
    connection.execute("UPDATE results SET shipped_as = NULL WHERE shipped_as = ?", (file,))
    connection.execute("DELETE FROM shipped_files WHERE file = ?", (file,))


def _version(path: Path) -> str:
    """Return size and modification time of a CSV and its array file, to detect changes."""
    stats = []
    for file in (path, array_file(path)):
        with suppress(FileNotFoundError):  # missing, or just being replaced
            stats.append(file.stat())
    return " ".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats)
