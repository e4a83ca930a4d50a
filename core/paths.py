"""Paths of the explorer's files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CHECKPOINTS = ROOT / "checkpoints"
"""Shipped baselines and results; those of this machine are in its subfolder LOCAL."""

LOCAL = "local"
"""The subfolder of CHECKPOINTS for local baselines and results; it is not in git."""

DATA = ROOT / "data"
"""Downloaded data sets and the cache of decoded images."""


def shown(path: Path) -> str:
    """Return a path as it can be shown to others: within the project, or only the file's name."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
