"""Several formats of one network: made in memory, then written or zipped."""

import errno
import hashlib
import io
import os
import zipfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.export.extras import missing
from core.export.formats import WRITERS
from core.export.names import check_name
from core.export.subject import Subject
from core.export.vocabulary import FORMATS
from core.files import write_together

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The date of all files in a zip archive, so that equal files make equal archives."""


@dataclass(frozen=True)
class Exporting:
    """The progress of an export: the format that is made next, a key of FORMATS."""

    format: str
    done: int
    total: int


@dataclass(frozen=True, eq=False)
class Bundle:
    """Exported files in memory."""

    files: Mapping[str, bytes]  # content by name
    checks: Mapping[str, str]  # how each format was checked, one sentence, by its key

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each file."""
        return {name: hashlib.sha256(each).hexdigest() for name, each in self.files.items()}

    def zipped(self) -> bytes:
        """Return all files as one zip archive."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, each in self.files.items():
                archive.writestr(zipfile.ZipInfo(name, EARLIEST), each, zipfile.ZIP_DEFLATED)
        return content.getvalue()


def export(
    subject: Subject, formats: Sequence[str], name: str
) -> Generator[Exporting, None, Bundle]:
    """Make a network's files in each of the formats; yield before each, return them all.

    `name` is that of the files, without extension. Can be dropped at any event: nothing is written.
    Raises InputError for a name or a format that cannot be, for missing packages, and if a file
    does not compute what the network does.
    """
    check_formats(formats)
    check_name(name)
    files: dict[str, bytes] = {}
    checks: dict[str, str] = {}
    for done, each in enumerate(formats):
        yield Exporting(each, done, len(formats))
        made = WRITERS[each](subject, name)
        files |= made.files
        checks[each] = made.check
    return Bundle(files, checks)


def check_formats(formats: Sequence[str]) -> None:
    """Raise InputError for no format, an unknown one, or one that needs a missing package."""
    if not formats:
        raise InputError(f"Choose one or more formats of {', '.join(FORMATS)}.")
    for each in formats:
        if each not in FORMATS:
            raise InputError(f"There is no format {each!r}: choose one of {', '.join(FORMATS)}.")
        if reason := missing(FORMATS[each].packages):
            raise InputError(f"{FORMATS[each].label}: {reason}")


def write(contents: Mapping[Path, bytes], overwrite: bool = False) -> None:
    """Write all files or none. Raises InputError if one exists or cannot be written."""
    try:
        write_together(contents, overwrite)
    except OSError as error:
        raise InputError(_what_failed(list(contents), error)) from error


def _what_failed(paths: Sequence[Path], error: OSError) -> str:
    there = [path for path in paths if os.path.lexists(path)]
    if isinstance(error, FileExistsError) and there:
        return (
            f"{there[0]} exists already. Choose another name, or replace it (--overwrite on the "
            "command line)."
        )
    folder = paths[0].parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"There is no space for the files in {folder} ({error.strerror}): nothing was written. "
            "Free some, or choose another place."
        )
    return f"{folder} cannot be written ({error.strerror}): choose another place."
