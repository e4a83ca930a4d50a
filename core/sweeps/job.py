"""What to measure with, as plain data that another process can be given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.data import loading
from core.data.dataset import DataSet
from core.device import resolve_device
from core.networks import checkpoint
from core.sweeps.measurer import Measurer

Kind = TypeVar("Kind", bound=Measurer)


@dataclass(frozen=True)
class Job:
    """A baseline and the test images that its prunings are measured on; it can be pickled."""

    checkpoint: Path
    dataset: str | None = None  # the one that the baseline was trained on for None
    subset: int | None = None  # test images; all of them for None
    seed: int = 0  # of their draw
    precision: str = "auto"
    device: str = "auto"

    def measurer(self, kind: type[Kind], load: Callable[[str], DataSet] = loading.load) -> Kind:
        """Load the baseline, and the images by `load`. Raises InputError where one is missing."""
        loaded = checkpoint.load(self.checkpoint, self.dataset)
        return kind(
            loaded,
            load(loaded.dataset),
            self.subset,
            self.seed,
            self.precision,
            resolve_device(self.device),
        )
