"""The SQLite file behind the store: begun, upgraded, and set aside where it cannot be used."""

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
SECONDS_TO_WAIT = 20  # for another thread or process that writes
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNWRITABLE = (
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
)
UNWRITABLE_ERRNO = (
    *(errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EEXIST, errno.ENOTDIR),  # a file where the folder should be
)
SIDE_FILES = ("-journal", "-wal", "-shm")  # the ends of SQLite's own files beside a database

Answer = TypeVar("Answer")
Action = Callable[[sqlite3.Connection], Answer]


class StoreError(InputError):
    """The store cannot be read or written; the sentence says why."""


@dataclass(frozen=True)
class Layout:
    """The tables of a file, and how files of older versions get them."""

    version: int
    schema: str
    upgrades: Mapping[int, str] = field(default_factory=dict)  # SQL by the version it starts from


class Database:
    """One file for any number of threads and processes.

    Reading waits only while SQLite commits. Writing takes a lock of its own too, so that no file is
    written while it is set aside: SQLite finds a file's journal by its name alone.

    A file that is damaged, foreign or of an unknown layout is set aside under a new name, as
    `notes` says, and `refill` is called for the new one. Where the folder cannot be written, a copy
    in a temporary folder serves until the process ends. Where nothing can be written, as on a full
    disk, results are still read, and `trouble` says why nothing is kept.
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
        """Run `action` on a connection that only reads; it may run twice. Raises StoreError."""
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
        """Bring `trouble` up to date by writing a page beside the file, which leaves no trace."""
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
        """Go on with a copy in a temporary folder. Raises `why` where that is full too."""
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
        """Hold the file's lock; a thread that holds it may ask again."""
        return self._lock.acquire(SECONDS_TO_WAIT)

    def _with_repair(self, work: Callable[[], Answer]) -> Answer:
        """Do the work; where the file is damaged or gone, do it again on a new one."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if self.path.exists() and not _is_repairable(error):
                raise
        with self._locked():  # so that only the first of those who meet the damage repairs it
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
        """Bring the file to the present layout; return whether a new one was begun."""
        trouble = self._check() if self.path.exists() else ""
        if trouble is None:
            return False
        if trouble:
            self._set_aside(trouble)
        with written_atomically(self.path) as temporary:
            _on_connection(temporary, "rw", self._create)
        return True

    def _check(self) -> str | None:
        """Say what the file is instead of a store: "" where it is empty, None where it is one."""
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
        connection.execute("PRAGMA journal_mode = DELETE")  # files of the layout 1 have a WAL
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
            f"{self.path.name} {trouble}: it was set aside as {aside.name}, and a new one begun."
        )


def _on_connection(path: Path, mode: str, action: Action[Answer]) -> Answer:
    # A connection for each action takes 0.2 ms, and leaves nothing for threads to share.
    address = f"{path.resolve().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, SECONDS_TO_WAIT, isolation_level="IMMEDIATE", uri=True)
    with closing(connection), connection:  # which commits, or rolls back
        connection.row_factory = sqlite3.Row
        return action(connection)


def _is_repairable(error: sqlite3.DatabaseError) -> bool:
    """Whether it is damage, a file replaced meanwhile, or a commit that a killed process left."""
    code = getattr(error, "sqlite_errorcode", 0)
    return _is_damage(error) or code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY_ROLLBACK)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE  # the other bits are details


def _is_unwritable(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in UNWRITABLE
    return isinstance(error, OSError) and error.errno in UNWRITABLE_ERRNO
