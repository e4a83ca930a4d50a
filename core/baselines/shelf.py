"""The baselines that are there already."""

from pathlib import Path

from core import paths
from core.errors import InputError
from core.networks import checkpoint


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
