"""What to prune, how much, by which score."""

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from core.errors import InputError
from core.pruning.importance import SCORES

METHODS = ("fine", "channel", "channel-mask")
CRITERIA = tuple(SCORES)
ALLOCATIONS = ("uniform", "global", "lamp", "erk")
SCOPES = ("all", "internal")
CRITERIA_OF = dict.fromkeys(METHODS, CRITERIA) | {
    "fine": tuple(name for name, score in SCORES.items() if score.of_weights)
}
ALLOCATIONS_OF = dict.fromkeys(METHODS, ("uniform", "global")) | {"fine": ALLOCATIONS}
Overrides = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PruningSpec:
    """One way of pruning; hashable. Raises InputError, a ValueError, for anything else.

    `fine` removes the ratio of the prunable weights; `channel` removes that of each group's
    channels, physically; `channel-mask` zeroes that of each convolution's filters in place.
    """

    method: str
    ratio: float  # asked for, 0 to 1
    criterion: str = "l1"
    allocation: str = "uniform"
    scope: str = "all"  # of `channel` only
    seed: int = 0  # of the random criterion only
    overrides: Overrides = ()  # (layer, or group for `channel`; its own ratio), by name

    def __post_init__(self) -> None:
        for name, allowed in (
            ("method", METHODS),
            ("criterion", CRITERIA),
            ("allocation", ALLOCATIONS),
            ("scope", SCOPES),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"There is no {name} {getattr(self, name)!r}: choose one of "
                    f"{', '.join(allowed)}."
                )
        if not _is_ratio(self.ratio):
            raise InputError(f"The ratio must be a number from 0 to 1, not {self.ratio!r}.")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise InputError(f"The seed must be a whole number from 0 on, not {self.seed!r}.")
        if self.criterion not in CRITERIA_OF[self.method]:
            raise InputError(
                f"{SCORES[self.criterion].label} scores whole channels, so it cannot choose single "
                f"weights: choose {' or '.join(CRITERIA_OF['fine'])} for the method fine."
            )
        if self.allocation not in ALLOCATIONS_OF[self.method]:
            raise InputError(
                f"The allocation {self.allocation} shares out single weights, not channels: "
                f"choose {' or '.join(ALLOCATIONS_OF[self.method])} for the method {self.method}."
            )
        object.__setattr__(self, "overrides", _checked(self.overrides))

    @property
    def is_identity(self) -> bool:
        """Whether nothing is asked for, in whatever way."""
        return self.ratio == 0 and all(ratio == 0 for _, ratio in self.overrides)

    def canonical(self) -> "PruningSpec":
        """The same pruning with every setting that has no effect at its default."""
        return replace(
            self,
            ratio=float(self.ratio),
            criterion="l1" if self.method == "fine" and self.criterion == "l2" else self.criterion,
            allocation="uniform" if self.method == "channel-mask" else self.allocation,
            scope=self.scope if self.method == "channel" else "all",
            seed=self.seed if self.criterion == "random" else 0,
        )


def _is_ratio(value: Any) -> bool:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and not math.isnan(value) and 0 <= value <= 1


def _checked(overrides: Any) -> Overrides:
    """Sorted by name, as floats. Raises InputError for what is no sequence of (name, ratio)."""
    try:
        pairs = [(name, ratio) for name, ratio in overrides]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Overrides must be pairs of a layer's name and a ratio, not {overrides!r}."
        ) from error
    for name, ratio in pairs:
        if not isinstance(name, str) or not _is_ratio(ratio):
            raise InputError(
                f"An override must be a layer's name and a ratio from 0 to 1, "
                f"not {name!r} and {ratio!r}."
            )
    if len({name for name, _ in pairs}) < len(pairs):
        raise InputError(f"Each layer can be overridden once, but {overrides!r} repeats one.")
    return tuple(sorted((name, float(ratio)) for name, ratio in pairs))
