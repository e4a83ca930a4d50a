"""Recovery specs: what is done to a network after pruning."""

from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.specs.vocabulary import ALL_RECOVERIES, NO_RECOVERY, RECOVERIES, TRAINED_RECOVERIES

STARTS = tuple(name for name in RECOVERIES if name != NO_RECOVERY)
MERGING, RECALIBRATION, RECONSTRUCTION = "merge", "bn", "reconstruct"
LABELS, BASELINE = "labels", "baseline"
TARGETS = (BASELINE, LABELS)
SMALLEST_TUNING, LARGEST_TUNING = 10, 10_000_000
MOST_PRUNINGS = 100


@dataclass(frozen=True)
class Recovery:
    """A recovery: `none`; `merge`, which needs no images; `bn`, which re-estimates batch-norm
    statistics; `reconstruct`, which adapts the weights that are left by least squares, and then
    does `bn`; or `finetune`, which trains on after one of these two. Raises InputError for what
    cannot be.
    """

    method: str = NO_RECOVERY
    images: int = 0  # training images: drawn, stratified by class; of `finetune` trained on
    seed: int = 0  # for drawing them
    start: str = ""  # of `finetune`: the recovery before it, one of STARTS
    targets: str = ""  # of `finetune`: whether the baseline's answers are learnt, or the labels
    prunings: int = 1  # of `finetune`: steps in which the ratio is reached; 1 means at once

    def __post_init__(self) -> None:
        if self.method not in ALL_RECOVERIES:
            raise InputError(
                f"There is no recovery {self.method!r}: choose {' or '.join(ALL_RECOVERIES)}."
            )
        if self.images < 0 or self.seed < 0:
            raise InputError("A recovery needs a number of images and a seed from 0 on.")
        if self.trains:
            self._check_training()
        else:  # reset unused settings, so that equal recoveries compare equal
            self._set(start="", targets="", prunings=1)
        if not self.needs_images:
            self._set(images=0, seed=0)

    def _check_training(self) -> None:
        if not SMALLEST_TUNING <= self.images <= LARGEST_TUNING:
            raise InputError(
                f"A network is fine-tuned on {SMALLEST_TUNING} to {LARGEST_TUNING:,} images, "
                f"not {self.images:,}."
            )
        if type(self.prunings) is not int or not 1 <= self.prunings <= MOST_PRUNINGS:
            raise InputError(
                f"A ratio is reached in 1 to {MOST_PRUNINGS} prunings, not in {self.prunings!r}."
            )
        if self.is_gradual:  # nothing is fitted between prunings
            self._set(start=RECALIBRATION)
        self._set(start=self.start or STARTS[-1], targets=self.targets or BASELINE)
        for name, allowed in (("start", STARTS), ("targets", TARGETS)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"Fine-tuning has no {name} {getattr(self, name)!r}: "
                    f"choose {' or '.join(allowed)}."
                )

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def named(cls, method: str) -> "Recovery":
        """Return a recovery with its default number of images."""
        return cls(method, ALL_RECOVERIES[method].images if method in ALL_RECOVERIES else 0)

    @property
    def trains(self) -> bool:
        return self.method in TRAINED_RECOVERIES

    @property
    def needs_images(self) -> bool:
        return ALL_RECOVERIES[self.method].images > 0

    @property
    def is_gradual(self) -> bool:
        """Whether pruning and training take turns."""
        return self.prunings > 1

    @property
    def before(self) -> "Recovery":
        """The recovery that fine-tuning starts from."""
        return Recovery.named(self.start)

    @property
    def fitted(self) -> "Recovery | None":
        """The reconstruction that this recovery is or starts from, if there is one."""
        if self.trains:
            return self.before.fitted
        return self if self.method == RECONSTRUCTION else None

    def to_json(self) -> dict[str, Any]:
        if not self.needs_images:
            return {"method": self.method}
        found: dict[str, Any] = {"method": self.method, "images": self.images, "seed": self.seed}
        if self.trains:
            found |= {"start": self.start, "targets": self.targets}
        return found | ({"prunings": self.prunings} if self.is_gradual else {})


NOTHING, RECALIBRATED = Recovery(), Recovery.named(RECALIBRATION)
RECONSTRUCTED = Recovery.named(RECONSTRUCTION)

MERGED = Recovery.named(MERGING)

BY_LABEL = {each.label: Recovery.named(name) for name, each in RECOVERIES.items()}
"""Each recovery with its default number of images, by label."""
