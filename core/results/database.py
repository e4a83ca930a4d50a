"""The SQLite file behind the store, and what happens to a file that is none of ours."""

import errno
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import filelock

from core.errors import InputError

APPLICATION_ID = 0x5052554E  # "PRUN", in the file's header
SECONDS_TO_WAIT = 20  # for another process that writes
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNWRITABLE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
UNWRITABLE_ERRNO = (
    errno.ENOSPC,
    errno.EFBIG,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,  # a file where the folder should be
    errno.ENOTDIR,
)

Answer = TypeVar("Answer")


class StoreError(InputError):
    """The store cannot be read or written; the sentence says why."""


class Database:
    """One file, with the tables of `schema`, for any number of threads and processes.

    A file that is damaged, foreign or of another `version` is set aside under a new name; `notes`
    says so. Where the folder cannot be written, a copy in a temporary one serves until the process
    ends. Where nothing can be written any more, as on a full disk, what is in the file is still
    read, and `trouble` says why.
    """

    def __init__(self, path: Path, schema: str, version: int):
        self.path = path
        self.notes: list[str] = []
        self.trouble = ""
        self._schema = schema
        self._version = version
        self._turn = threading.Lock()
        try:
            self._begin()
        except StoreError as error:
            if not _is_unwritable(error.__cause__):
                raise
            self._begin_elsewhere(error)

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
                    answer = self._run(action)
                except sqlite3.DatabaseError as error:
                    if not _may_be_damage(error) or not self._prepare(self._damage):
                        raise
                else:
                    self.trouble = ""
                    return answer
        raise DamagedError

    def read(self, action: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """As `run`; where nothing can be written, of the file as it was left.

        SQLite writes to read, too: a file in WAL mode needs its log beside it.
        """
        try:
            return self.run(action)
        except StoreError as error:
            if not _is_unwritable(error.__cause__):
                raise
            self.trouble = f"{str(error).rstrip('.')}: nothing new is kept."
            return self._read_as_it_is(action)

    def _begin(self) -> None:
        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path.parent, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            with self._alone():
                self._prepare(self._wrong_kind)

    def _begin_elsewhere(self, why: "StoreError") -> None:
        """Go on with a copy in a temporary folder; where that is full too, only read the file."""
        path = self.path
        with self._errors():
            try:
                self._elsewhere = tempfile.TemporaryDirectory(
                    prefix="pruning-explorer-", ignore_cleanup_errors=True
                )
                self.path = Path(self._elsewhere.name) / path.name
                for suffix in ("", "-wal"):
                    if Path(f"{path}{suffix}").exists():
                        shutil.copyfile(f"{path}{suffix}", f"{self.path}{suffix}")
                self._begin()
            except (StoreError, OSError):
                self.path = path
                if self._read_as_it_is(self._wrong_kind) is not None:
                    raise
                self.trouble = f"{str(why).rstrip('.')}: nothing new is kept."
            else:
                self.notes.append(
                    f"{path.parent} cannot be written: results are kept until this process ends."
                )

    def _read_as_it_is(self, action: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Of the file alone, without log and locks, which nobody can write either."""
        with self._errors():
            return self._run(action, "?immutable=1")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within it nobody else has the file open, so that it may be renamed.

        SQLite finds a file's log by its name: connections to a renamed file and to the one in its
        place would share it. Of this process one thread at a time asks for the file's lock, since
        asking is polling.
        """
        if not self._turn.acquire(timeout=SECONDS_TO_WAIT):
            raise TimeoutError("other threads use it")
        try:
            with filelock.FileLock(
                self.path.with_suffix(".lock"), SECONDS_TO_WAIT, poll_interval=0.005
            ):
                yield
        finally:
            self._turn.release()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The results in {self.path} cannot be used ({error}).") from error

    def _run(self, action: Callable[[sqlite3.Connection], Answer], how: str = "") -> Answer:
        # A connection of its own for each action: 0.2 ms, and nothing that threads could share.
        address = f"{self.path.resolve().as_uri()}{how}"
        connection = sqlite3.connect(address, SECONDS_TO_WAIT, isolation_level=None, uri=True)
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


def _is_unwritable(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in UNWRITABLE
    return isinstance(error, OSError) and error.errno in UNWRITABLE_ERRNO


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
