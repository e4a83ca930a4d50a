"""Writing files atomically."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
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


def write_together(contents: Mapping[Path, bytes], overwrite: bool = False) -> None:
    """Write several files, all or none of them; what was there before stays if one fails.

    Raises FileExistsError if one exists and `overwrite` is not set, and OSError if one cannot be
    written.
    """
    missing = [folder for path in contents for folder in path.parents if not folder.exists()]
    try:
        with ExitStack() as stack:
            staged = {path: stack.enter_context(_temporary(path)) for path in contents}
            for path, temporary in staged.items():
                temporary.write_bytes(contents[path])
                _finish(temporary)
            _publish(staged, overwrite, stack)
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # it is gone already, or others have put something into it
                folder.rmdir()
        raise


def _publish(staged: Mapping[Path, Path], overwrite: bool, stack: ExitStack) -> None:
    """Rename the temporary files; undo that if one of them fails."""
    undo = ExitStack()
    with undo:
        for path, temporary in staged.items():
            if overwrite and path.exists():
                previous = stack.enter_context(_temporary(path))
                shutil.copy2(path, previous)
                temporary.replace(path)
                undo.callback(previous.replace, path)
            else:
                _link(temporary, path)
                undo.callback(path.unlink)
        undo.pop_all()


@contextmanager
def _written(path: Path, publish: Callable[[Path, Path], None]) -> Iterator[Path]:
    with _temporary(path) as temporary:
        yield temporary
        _finish(temporary)
        publish(temporary, path)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside `path`, and remove it if it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _finish(temporary: Path) -> None:
    """Bring what was written to the disk, as readable as any other file."""
    with temporary.open("rb+") as written:
        os.fsync(written.fileno())
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)  # mkstemp creates files that only the owner can read
