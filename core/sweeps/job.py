"""What to measure with, as plain data that another process can be given."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.data import loading
from core.networks import checkpoint
from core.sweeps.measurer import Measurer

Kind = TypeVar("Kind", bound=Measurer)


@dataclass(frozen=True)
class Job:
    """A baseline and the test images that its prunings are measured on; it can be pickled."""

    checkpoint: Path
    dataset: str
    subset: int | None = None  # test images; all of them for None
    seed: int = 0  # of their draw
    precision: str = "auto"

    def measurer(self, kind: type[Kind]) -> Kind:
        """Load the baseline and the images. Raises InputError where one of them is missing."""
        return kind(
            checkpoint.load(self.checkpoint, self.dataset),
            loading.load(self.dataset),
            self.subset,
            self.seed,
            self.precision,
        )
