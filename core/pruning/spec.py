"""What to prune, how much, by which score."""

import math
from dataclasses import dataclass, replace
from numbers import Real

from core.errors import InputError

METHODS = ("fine", "channel", "channel-mask")
CRITERIA = ("l1", "l2", "bn", "random")
ALLOCATIONS = ("uniform", "global")
SCOPES = ("all", "internal")


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
        is_number = isinstance(self.ratio, Real) and not isinstance(self.ratio, bool)
        if not is_number or math.isnan(self.ratio) or not 0 <= self.ratio <= 1:
            raise InputError(f"The ratio must be a number from 0 to 1, not {self.ratio!r}.")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise InputError(f"The seed must be a whole number from 0 on, not {self.seed!r}.")
        if self.method == "fine" and self.criterion == "bn":
            raise InputError(
                "Batch-norm γ scores whole channels, so it cannot choose single weights: "
                "choose l1, l2 or random for the method fine."
            )

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
