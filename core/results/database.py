"""The SQLite file behind the store, and what happens to a file that is none of ours."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import filelock

from core.errors import InputError

APPLICATION_ID = 0x5052554E  # "PRUN", in the file's header
SECONDS_TO_WAIT = 60  # for another process that writes
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Answer = TypeVar("Answer")


class StoreError(InputError):
    """The store cannot be read or written; the sentence says why."""


class Database:
    """One file, with the tables of `schema`, for any number of threads and processes.

    A file that is damaged, foreign or of another `version` is set aside under a new name; `notes`
    says so. Where the folder cannot be written, the file is in a temporary one.
    """

    def __init__(self, path: Path, schema: str, version: int):
        self.path = _writable(path)
        self.notes: list[str] = []
        if self.path != path:
            self.notes.append(
                f"{path.parent} cannot be written: results are kept until this process ends."
            )
        self._schema = schema
        self._version = version
        with self._errors(), self._alone():
            self._prepare(self._wrong_kind)

    def run(self, action: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Run `action` on a connection of its own. Raises StoreError where SQLite does.

        Raises DamagedError after a damaged or missing file was replaced: there is a new one to
        run it on.
        """
        with self._errors(), self._alone():
            if not self.path.exists():
                self._prepare(self._wrong_kind)
            else:
                try:
                    return self._run(action)
                except sqlite3.DatabaseError as error:
                    if not _may_be_damage(error) or not self._prepare(self._damage):
                        raise
        raise DamagedError

    def _alone(self) -> filelock.BaseFileLock:
        """While it is held nobody else has the file open, so that it may be renamed.

        SQLite finds a file's log by its name: connections to a renamed file and to the one in its
        place would share it.
        """
        return filelock.FileLock(self.path.with_suffix(".lock"), poll_interval=0.005)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The results in {self.path} cannot be used ({error}).") from error

    def _run(self, action: Callable[[sqlite3.Connection], Answer]) -> Answer:
        # A connection of its own for each action: 0.2 ms, and nothing that threads could share.
        connection = sqlite3.connect(self.path, SECONDS_TO_WAIT, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode safe from any kill
            return action(connection)
        finally:
            connection.close()

    def _prepare(self, trouble_of: Callable[[sqlite3.Connection], str | None]) -> bool:
        """Make the file what it should be, if it is not; one in trouble is set aside."""
        if self.path.exists():
            try:
                trouble = self._run(trouble_of)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                trouble = "is damaged"
            if trouble is None:
                return False
            if trouble:
                self._set_aside(trouble)
        self._run(self._create)
        return True

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; {self._schema} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {self._version}; COMMIT;"
        )

    def _wrong_kind(self, connection: sqlite3.Connection) -> str | None:
        """What the file is instead of a store; "" where it is empty, None where it is one."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            return ""
        if application != APPLICATION_ID:
            return "holds something else"
        if version != self._version:
            return f"has the layout {version}, not {self._version}"
        return None

    def _damage(self, connection: sqlite3.Connection) -> str | None:
        """As `_wrong_kind`, with every page read: seconds for a large file."""
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        return self._wrong_kind(connection) if verdict == "ok" else "is damaged"

    def _set_aside(self, trouble: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        aside = self.path.with_name(f"{self.path.stem}.aside-{stamp}{self.path.suffix}")
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
        self.path.replace(aside)
        self.notes.append(
            f"{self.path.name} {trouble}: it was set aside as {aside.name}, and a new one begun."
        )


def _may_be_damage(error: sqlite3.DatabaseError) -> bool:
    """SQLITE_ERROR is also what a missing table gives, where the file was replaced or emptied."""
    return _is_damage(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in DAMAGE  # the other bits are details


class DamagedError(Exception):
    """The file was damaged and is set aside, or was gone; a new one stands in its place."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite itself ends it where the disk is full
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _writable(path: Path) -> Path:
    """`path`, or one in a temporary folder where its own cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.access(path.parent, os.W_OK):
            return path
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="pruning-explorer-")) / path.name
