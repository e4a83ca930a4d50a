"""The SQLite file behind the store: creating, upgrading and replacing it if it is damaged."""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from core.errors import InputError
from core.files import written_atomically

APPLICATION_ID = 0x5052554E  # "PRUN", in the file's header
SECONDS_TO_WAIT = 20  # for a lock held by another thread or process
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
REPAIRABLE = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_READONLY_ROLLBACK,
    sqlite3.SQLITE_CANTOPEN,  # it was missing between being set aside and created anew
)
UNWRITABLE = (
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
)
UNWRITABLE_ERRNO = (
    *(errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EEXIST, errno.ENOTDIR),  # a file where the folder should be
)
SIDE_FILES = ("-journal", "-wal", "-shm")  # suffixes of the files SQLite writes beside a database

Answer = TypeVar("Answer")
Action = Callable[[sqlite3.Connection], Answer]


class StoreError(InputError):
    """The store cannot be read or written; the message says why."""


@dataclass(frozen=True)
class Layout:
    """The tables of the database, and the upgrades from older versions."""

    version: int
    schema: str
    upgrades: Mapping[int, str] = field(default_factory=dict)  # old version -> SQL script


class Database:
    """One SQLite file, shared by any number of threads and processes.

    Readers wait only while SQLite commits. Writers also take a file lock, so that nobody writes to
    a file while it is renamed: SQLite finds a file's journal by name, and would pair it with the
    wrong database.

    A file that is damaged, foreign or of an unknown layout is renamed, which adds a note to
    `notes`, and `refill` is called to fill the new file. If the folder is not writable, a copy in a
    temporary folder is used until the process ends. If nothing can be written, for example on a
    full disk, results can still be read, and `trouble` says why new ones are not stored.
    """

    def __init__(self, path: Path, layout: Layout, refill: Callable[[], None] = lambda: None):
        self.notes: list[str] = []
        self.trouble = ""
        self._layout = layout
        self._refill = refill
        self._use(path)
        try:
            self._open()
        except StoreError as error:
            if not _is_unwritable(error.__cause__):
                raise
            self._use_temporary_copy(error)

    def read(self, action: Action[Answer]) -> Answer:
        """Run `action` on a read-only connection; it may run twice. Raises StoreError."""
        with self._errors():
            return self._with_repair(lambda: _on_connection(self.path, "ro", action))

    def write(self, action: Action[None]) -> None:
        """Run `action` in a transaction; it may run twice. Raises StoreError."""

        def write() -> None:
            with self._locked():
                _on_connection(self.path, "rw", action)

        with self._errors():
            self._with_repair(write)
        self.trouble = ""

    def probe(self) -> None:
        """Update `trouble`: try to write 4 kB to a temporary file in the same folder."""
        with suppress(StoreError), self._errors():
            with tempfile.TemporaryFile(dir=self.path.parent, buffering=0) as file:
                file.write(bytes(4096))
            self.trouble = ""

    def _use(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path.with_suffix(".lock"), poll_interval=0.005)

    def _open(self) -> None:
        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path.parent, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            with self._locked():
                self._prepare()

    def _use_temporary_copy(self, why: StoreError) -> None:
        """Switch to a copy in a temporary folder. Raises `why` if that cannot be written either."""
        path = self.path
        try:
            self._elsewhere = tempfile.TemporaryDirectory(
                prefix="pruning-explorer-", ignore_cleanup_errors=True
            )
            self._use(Path(self._elsewhere.name) / path.name)
            for suffix in (*SIDE_FILES, ""):
                with suppress(FileNotFoundError, NotADirectoryError):
                    shutil.copyfile(f"{path}{suffix}", f"{self.path}{suffix}")
            self._open()
        except (StoreError, OSError):
            raise why from why.__cause__
        self.notes.append(
            f"{path.parent} cannot be written: results are kept until this process ends."
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            sentence = f"The results in {self.path} cannot be used ({error})"
            if _is_unwritable(error):
                self.trouble = f"{sentence}: nothing new is kept."
            raise StoreError(f"{sentence}.") from error

    def _locked(self) -> AbstractContextManager[object]:
        """Hold the file lock, which is reentrant within a thread."""
        return self._lock.acquire(SECONDS_TO_WAIT)

    def _with_repair(self, work: Callable[[], Answer]) -> Answer:
        """Do the work; if the file is damaged or missing, replace the file and do it again."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if self.path.exists() and not _is_repairable(error):
                raise
        with self._locked():  # so that only one of several threads or processes repairs the file
            if not self._prepare():
                try:
                    return work()
                except sqlite3.DatabaseError as error:
                    if not _is_damage(error):
                        raise
                self._set_aside("is damaged")
                self._prepare()
        self._refill()
        return work()

    def _prepare(self) -> bool:
        """Create the file or upgrade it to the current layout; return whether it is new."""
        trouble = self._check() if self.path.exists() else ""
        if trouble is None:
            return False
        if trouble:
            self._set_aside(trouble)
        with written_atomically(self.path) as temporary:
            _on_connection(temporary, "rw", self._create)
        return True

    def _check(self) -> str | None:
        """Upgrade the file; return None if it is a store, "" if it is empty, else what is wrong."""
        try:
            return _on_connection(self.path, "rw", self._upgrade)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            return "is damaged"

    def _upgrade(self, connection: sqlite3.Connection) -> str | None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables and not version:
            return ""
        if application != APPLICATION_ID:
            return "holds something else"
        if version in self._layout.upgrades:
            self._run_script(connection, self._layout.upgrades[version])
        elif version != self._layout.version:
            return f"has the layout {version}, not {self._layout.version}"
        return None

    def _create(self, connection: sqlite3.Connection) -> None:
        self._run_script(connection, self._layout.schema)

    def _run_script(self, connection: sqlite3.Connection, script: str) -> None:
        connection.execute("PRAGMA journal_mode = DELETE")  # files of layout 1 used a WAL
        connection.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {self._layout.version}; COMMIT;"
        )

    def _set_aside(self, trouble: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        aside = self.path.with_name(f"{self.path.stem}.aside-{stamp}{self.path.suffix}")
        for suffix in (*SIDE_FILES, ""):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
        self.notes.append(
            f"{self.path.name} {trouble}: it was renamed to {aside.name}, and a new file created."
        )


def _on_connection(path: Path, mode: str, action: Action[Answer]) -> Answer:
    # A new connection for each action costs 0.2 ms, and threads never share a connection.
    address = f"{path.resolve().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, SECONDS_TO_WAIT, isolation_level="IMMEDIATE", uri=True)
    with closing(connection), connection:  # the inner context commits or rolls back
        connection.row_factory = sqlite3.Row
        return action(connection)


def _is_repairable(error: sqlite3.DatabaseError) -> bool:
    """Return whether the file is damaged, is just being replaced, or has an unfinished commit."""
    code = getattr(error, "sqlite_errorcode", 0)
    return _is_damage(error) or code in REPAIRABLE


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE  # primary code, without details


def _is_unwritable(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in UNWRITABLE
    return isinstance(error, OSError) and error.errno in UNWRITABLE_ERRNO
