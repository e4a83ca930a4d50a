"""The baselines that exist on this machine."""

from pathlib import Path

from core import paths
from core.errors import InputError
from core.networks import checkpoint

DEFAULTS = {"cifar10": "resnet18-cifar10"}
"""The file stem of each data set's default baseline, which is shipped."""


def available(dataset: str, folder: Path | None = None) -> list[Path]:
    """Return the checkpoints of a data set's baselines: shipped ones first, then local ones.

    `folder` defaults to CHECKPOINTS. Files that are not checkpoints, or hold a pruned network, are
    skipped.
    """
    folder = folder or paths.CHECKPOINTS
    found = []
    for path in [
        *sorted(folder.glob("*.safetensors"), key=lambda path: path.stem),  # a prefix comes first
        *sorted((folder / paths.LOCAL).glob("*.safetensors")),
    ]:
        try:
            metadata = checkpoint.read_metadata(path)
        except InputError:
            continue
        if metadata.get("dataset") == dataset and metadata.get("kind") == "baseline":
            found.append(path)
    return found


def by_name(dataset: str, folder: Path | None = None) -> dict[str, Path]:
    """Return the baselines by unique name: the file stem, or `X (local)` if `X` is also shipped."""
    found: dict[str, Path] = {}
    for path in available(dataset, folder):
        found[f"{path.stem} (local)" if path.stem in found else path.stem] = path
    return found


def default_baseline(dataset: str, folder: Path | None = None) -> Path | None:
    """Return a data set's default baseline, else the first available one; None if there is none."""
    baselines = by_name(dataset, folder)
    return baselines.get(DEFAULTS.get(dataset, ""), next(iter(baselines.values()), None))
