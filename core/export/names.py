"""Names of exported files: suggested ones are safe everywhere, given ones are checked."""

import re
import sys
import unicodedata
from collections.abc import Collection

from core.errors import InputError

LONGEST_SUGGESTED = 80
"""Characters; leaves room for extensions, and for folders on systems with short paths."""
MOST_BYTES = 200
"""Of a name as UTF-8; file systems take 255, with extensions and what a temporary file adds."""
RESERVED = {
    *("con", "prn", "aux", "nul"),
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
}
"""Names that Windows keeps for devices, with any extension."""
USED = ("torch", "torchvision", "timm")
"""Modules that exported Python files import."""
FORBIDDEN = '/\\<>:"|?*'
"""Characters that no name of a file may have on one system or another."""


def suggested_name(*parts: str) -> str:
    """Return a name of letters, digits and underscores, so that Python can import the file.

    `suggested_name("resnet18-cifar10", "channel 0.5 recovery=bn")` is
    "resnet18_cifar10_channel_0_5_recovery_bn".
    """
    plain = unicodedata.normalize("NFKD", "_".join(parts)).encode("ascii", "ignore").decode()
    words = re.findall(r"[A-Za-z0-9]+", plain)
    name = "_".join(words)[:LONGEST_SUGGESTED].strip("_") or "network"
    if name[0].isdigit() or name.lower() in RESERVED or name.lower() in sys.stdlib_module_names:
        return f"network_{name}"
    return name


def check_name(name: str) -> str:
    """Return a name of a file without its extension. Raises InputError for one that cannot be."""
    reason = _what_is_wrong(name)
    if reason:
        shown = name if len(name) <= LONGEST_SUGGESTED else f"{name[:LONGEST_SUGGESTED]}…"
        raise InputError(
            f"A file cannot be named {shown!r}: {reason}. Choose another name, such as "
            f"{suggested_name(name)}."
        )
    return name


def check_module_name(name: str, needed: Collection[str] = ()) -> str:
    """Return the name of a Python file without its extension.

    Raises InputError for the name of a module of Python, or of one that the file needs: it would be
    imported instead.
    """
    if name in {*USED, *needed, *sys.stdlib_module_names}:
        raise InputError(f"{name}.py would hide a module of that name: choose another name.")
    return name


def _what_is_wrong(name: str) -> str:
    if not name.strip(". "):
        return "it needs a letter or a digit"
    forbidden = next((each for each in name if each in FORBIDDEN), None)
    if forbidden:
        return f"{forbidden} has a meaning of its own in paths"
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in name):
        return "it has a character that cannot be seen"
    if len(name.encode()) > MOST_BYTES:
        return f"it is longer than {MOST_BYTES} bytes"
    if name.partition(".")[0].strip().lower() in RESERVED:
        return "Windows keeps that name for a device"
    if name[-1] in ". " or name[0] in " .-":
        return "it begins or ends with a character that file systems drop or hide"
    return ""
