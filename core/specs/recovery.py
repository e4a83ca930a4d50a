"""Recovery specs: what is done to a network after pruning."""

from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.specs.vocabulary import NO_RECOVERY, RECOVERIES


@dataclass(frozen=True)
class Recovery:
    """A recovery: `none`; `bn`, which re-estimates batch-norm statistics; or `reconstruct`, which
    adapts the weights that are left by least squares, and then does `bn`."""

    method: str = NO_RECOVERY
    images: int = 0  # number of training images, stratified by class
    seed: int = 0  # for drawing them

    def __post_init__(self) -> None:
        if self.method not in RECOVERIES:
            raise InputError(
                f"There is no recovery {self.method!r}: choose {' or '.join(RECOVERIES)}."
            )
        if self.images < 0 or self.seed < 0:
            raise InputError("A recovery needs a number of images and a seed from 0 on.")
        if (
            self.method == NO_RECOVERY
        ):  # reset unused settings, so that equal recoveries compare equal
            object.__setattr__(self, "images", 0)
            object.__setattr__(self, "seed", 0)

    @classmethod
    def named(cls, method: str) -> "Recovery":
        """Return a recovery with its default number of images."""
        return cls(method, RECOVERIES[method].images if method in RECOVERIES else 0)

    def to_json(self) -> dict[str, Any]:
        if self.method == NO_RECOVERY:
            return {"method": NO_RECOVERY}
        return {"method": self.method, "images": self.images, "seed": self.seed}


NOTHING, RECALIBRATED = Recovery(), Recovery.named("bn")
RECONSTRUCTED = Recovery.named("reconstruct")

BY_LABEL = {each.label: Recovery.named(name) for name, each in RECOVERIES.items()}
"""Each recovery with its default number of images, by label."""
