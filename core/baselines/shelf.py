"""The baselines that are there already."""

from pathlib import Path

from core import paths
from core.errors import InputError
from core.networks import checkpoint

DEFAULTS = {"cifar10": "resnet18-cifar10"}
"""The baseline that a data set opens with, by its name, where it ships."""


def available(dataset: str, folder: Path | None = None) -> list[Path]:
    """The checkpoints of a data set's baselines: those that ship first, then local ones.

    `folder` is CHECKPOINTS unless told. Files that are no checkpoints, or hold a pruned network,
    are left out.
    """
    folder = folder or paths.CHECKPOINTS
    found = []
    for path in [
        *sorted(folder.glob("*.safetensors"), key=lambda path: path.stem),  # the shortest first
        *sorted((folder / paths.LOCAL).glob("*ep*.safetensors")),
    ]:
        try:
            metadata = checkpoint.read_metadata(path)
        except InputError:
            continue
        if metadata.get("dataset") == dataset and metadata.get("kind") == "baseline":
            found.append(path)
    return found


def by_name(dataset: str, folder: Path | None = None) -> dict[str, Path]:
    """The available baselines by a name that is theirs alone: `X (local)` where `X` ships too."""
    found: dict[str, Path] = {}
    for path in available(dataset, folder):
        found[f"{path.stem} (local)" if path.stem in found else path.stem] = path
    return found


def default_baseline(dataset: str, folder: Path | None = None) -> Path | None:
    """The baseline to take where none is named: the data set's default, else the first available.

    None where there is none at all.
    """
    baselines = by_name(dataset, folder)
    return baselines.get(DEFAULTS.get(dataset, ""), next(iter(baselines.values()), None))
