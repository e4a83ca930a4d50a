"""Taking the result files that ship into the store, and out again when they change or go."""

import math
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.results.database import StoreError, transaction
from core.results.rows import INSERT, keep_labels, to_row
from core.results.shipped import RESULTS_SUFFIX, Shipped, array_file, read_shipped

SECONDS_BETWEEN_TRIES = 60  # after the disk was full or the store held


@dataclass(frozen=True)
class Refusal:
    """Why one version of a shipped file was not taken in, and until when that is so."""

    version: str
    why: str
    until: float = math.inf  # of time.monotonic(); for ever where the file itself is the reason


class Intake:
    """Keeps a store's rows in step with the shipped files (*.results.csv) of a folder.

    `query` reads rows from the store's database, `run` runs an action on a connection to it.
    """

    def __init__(
        self,
        folder: Path | None,
        query: Callable[[str, dict[str, Any]], list[sqlite3.Row]],
        run: Callable[[Callable[[sqlite3.Connection], None]], None],
    ):
        self._folder = folder
        self._query = query
        self._run = run
        self._refused: dict[Path, Refusal] = {}
        self._refreshing = threading.RLock()  # again by the same thread where the file was damaged

    @property
    def notes(self) -> list[str]:
        """Why files were not taken in."""
        return [refusal.why for refusal in [*self._refused.values()]]

    def refresh(self) -> None:
        """Take in the files that are new or changed, take out those that went.

        Never over local rows. A file that cannot be read leaves a note, and what was taken in
        before.
        """
        with self._refreshing:
            self._refresh()

    def begin_again(self) -> None:
        """Take in all files, for a database that is new."""
        self._refused.clear()
        self.refresh()

    def _refresh(self) -> None:
        files = self._folder.glob(f"*{RESULTS_SUFFIX}") if self._folder is not None else ()
        shipped = {path: _version(path) for path in files}
        known = {
            row["file"]: row["version"] for row in self._query("SELECT * FROM shipped_files", {})
        }
        now = time.monotonic()
        self._refused = {
            path: refusal
            for path, refusal in self._refused.items()
            if path in shipped and now < refusal.until
        }
        gone = known.keys() - {path.name for path in shipped}
        for name in gone:
            self._replace(name, None, None)
        stale = {path: v for path, v in shipped.items() if v != known.get(path.name)}
        taken_in = [path for path, version in stale.items() if self._take_in(path, version)]
        if gone or any(path.name in known for path in taken_in):
            for path in shipped.keys() - taken_in:  # may hold what the others no longer do
                self._take_in(path, shipped[path])

    def _take_in(self, path: Path, version: str) -> bool:
        """Whether the file could be read; one that could not is not tried again as it is."""
        refusal = self._refused.get(path)
        if refusal is not None and refusal.version == version:
            return False
        try:
            shipped = read_shipped(path)
        except InputError as error:
            self._refused[path] = Refusal(version, str(error))
            return False
        try:
            self._replace(path.name, version, shipped)
        except StoreError as error:
            until = time.monotonic() + SECONDS_BETWEEN_TRIES
            self._refused[path] = Refusal(version, f"{path.name} was not taken in: {error}", until)
            return False
        self._refused.pop(path, None)
        return True

    def _replace(self, file: str, version: str | None, shipped: Shipped | None) -> None:
        """Rows of a shipped file: these instead of those that it had before; None where it went."""
        results = shipped.results if shipped else []
        rows = [to_row(result) for result in results]
        labels = {result.key.data: shipped.test_labels for result in results if shipped}

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute("DELETE FROM results WHERE file = ?", (file,))
                connection.execute("DELETE FROM shipped_files WHERE file = ?", (file,))
                keep_labels(connection, labels)
                connection.executemany(f"INSERT OR IGNORE {INSERT}", rows)
                if version is not None:
                    connection.execute("INSERT INTO shipped_files VALUES (?, ?)", (file, version))

        self._run(write)


def _version(path: Path) -> str:
    """Size and time of a CSV and of its array file, which change with their content."""
    stats = []
    for file in (path, array_file(path)):
        with suppress(FileNotFoundError):  # also one that is being replaced
            stats.append(file.stat())
    return " ".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats)
