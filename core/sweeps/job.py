"""A measuring job as plain data that can be sent to another process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.baselines.fit import fitting
from core.data import loading
from core.data.dataset import DataSet
from core.device import resolve_device
from core.networks import checkpoint
from core.sweeps.measurer import Measurer

Kind = TypeVar("Kind", bound=Measurer)


@dataclass(frozen=True)
class Job:
    """A baseline and the test images to measure on; can be pickled."""

    checkpoint: Path
    dataset: str | None = None  # None means the data set that the baseline was trained on
    subset: int | None = None  # number of test images; None means all
    seed: int = 0  # for drawing them
    precision: str = "auto"
    device: str = "auto"
    folder: Path | None = None  # of own images; None means the one that EXPLORER_DATA names

    def measurer(self, kind: type[Kind], load: Callable[..., DataSet] = loading.load) -> Kind:
        """Load the baseline, and the images with `load`. Raises InputError if one is missing."""
        loaded = checkpoint.load(self.checkpoint, self.dataset)
        size = loaded.signature.image_size
        dataset = load(loaded.dataset, own=self.folder, image_size=size)
        return kind(
            loaded,
            fitting(dataset, loaded),
            self.subset,
            self.seed,
            self.precision,
            resolve_device(self.device),
        )
