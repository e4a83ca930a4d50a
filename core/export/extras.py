"""The optional packages of exports, which are imported when they are first used."""

import importlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import Any

from core.errors import InputError

INSTALL = "pip install -r requirements-export.txt"


def missing(packages: Sequence[str]) -> str:
    """Return one sentence on packages that are not installed and how to get them, or ""."""
    lacking = [package for package in packages if not _is_there(package)]
    if not lacking:
        return ""
    are = "is" if len(lacking) == 1 else "are"
    return f"{' and '.join(lacking)} {are} not installed: {INSTALL}, then try again."


def version_of(package: str) -> str:
    """Return the version of an installed package, whatever its distribution is called."""
    try:
        return version(package)
    except PackageNotFoundError:  # onnxruntime is also distributed as onnxruntime-gpu, and more
        distributions = packages_distributions().get(package, [])
        return version(distributions[0]) if distributions else "of unknown version"


def imported(package: str) -> Any:
    """Import an optional package. Raises InputError if it is missing or broken."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"{package} cannot be imported ({error}): {INSTALL}, then try again."
        ) from error


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # switched off, by None in sys.modules
        return False
