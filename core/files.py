"""Writing files atomically."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block succeeds.

    If the block raises or the process is killed, `path` is unchanged.
    Raises OSError if the folder cannot be written.
    """
    with _written(path, os.replace) as temporary:
        yield temporary


@contextmanager
def written_once(path: Path) -> Iterator[Path]:
    """Write a new file like `written_atomically`.

    Raises FileExistsError, leaving the file as it is, if there is one when the block ends; of two
    writers at once, one succeeds.
    """
    with _written(path, _link) as temporary:
        yield temporary


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(f"{path} exists.") from None
        temporary.replace(path)


@contextmanager
def _written(path: Path, publish: Callable[[Path, Path], None]) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp creates files that only the owner can read
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
