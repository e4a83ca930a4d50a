"""Pruning specs: what to prune, how much, and by which score."""

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from core.errors import InputError
from core.specs.vocabulary import ALLOCATIONS, CRITERIA, METHODS, SCOPES

LARGEST_MULTIPLE = 64

Overrides = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PruningSpec:
    """How to prune a network; hashable. Raises InputError, a ValueError, for invalid settings.

    `ratio` is a fraction: `fine` zeroes this fraction of the prunable weights; `channel` removes it
    from each group's channels; `channel-mask` zeroes it of each convolution's filters in place.
    """

    method: str
    ratio: float  # 0 to 1
    criterion: str = "l1"
    allocation: str = "uniform"
    scope: str = "all"  # only for `channel`
    seed: int = 0  # only for the criterion random
    overrides: Overrides = ()  # (layer, or group for `channel`; ratio), sorted by name
    # Of the allocations where layers or groups compete:
    floor: float = 0.0  # the part of the ratio that each loses at least, 0 to 1
    ceiling: float = 1.0  # what each loses at most, 0 to 1
    round_to: int = 1  # only for `channel`: a multiple of it stays of each group

    def __post_init__(self) -> None:
        for name, allowed in (
            ("method", METHODS),
            ("criterion", CRITERIA),
            ("allocation", ALLOCATIONS),
            ("scope", SCOPES),
        ):
            if getattr(self, name) not in tuple(allowed):  # `in` a dict fails for unhashable values
                raise InputError(
                    f"There is no {name} {getattr(self, name)!r}: choose one of "
                    f"{', '.join(allowed)}."
                )
        if not _is_ratio(self.ratio):
            raise InputError(f"The ratio must be a number from 0 to 1, not {self.ratio!r}.")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise InputError(f"The seed must be a whole number from 0 on, not {self.seed!r}.")
        for name in ("floor", "ceiling"):
            if not _is_ratio(getattr(self, name)):
                raise InputError(
                    f"The {name} must be a number from 0 to 1, not {getattr(self, name)!r}."
                )
        if type(self.round_to) is not int or not 1 <= self.round_to <= LARGEST_MULTIPLE:
            raise InputError(
                f"Channels can be rounded to multiples of 1 to {LARGEST_MULTIPLE}, "
                f"not of {self.round_to!r}."
            )
        method = METHODS[self.method]
        if self.criterion not in method.criteria:
            raise InputError(
                f"{CRITERIA[self.criterion].label} cannot choose what the method {self.method} "
                f"prunes: choose {' or '.join(method.criteria)}."
            )
        if self.allocation not in method.allocations:
            raise InputError(
                f"The allocation {self.allocation} is not for the method {self.method}: "
                f"choose {' or '.join(method.allocations)}."
            )
        object.__setattr__(self, "overrides", _checked(self.overrides))

    @property
    def is_identity(self) -> bool:
        """Whether this spec prunes nothing."""
        return self.ratio == 0 and all(ratio == 0 for _, ratio in self.overrides)

    def canonical(self) -> "PruningSpec":
        """Return an equal pruning in which settings without effect have their defaults."""
        method = METHODS[self.method]
        same_as_l1 = method.prunes_weights and self.criterion == "l2"
        allocation = self.allocation if method.has_allocations else "uniform"
        is_bounded = ALLOCATIONS[allocation].has_one_total
        return replace(
            self,
            ratio=float(self.ratio),
            criterion="l1" if same_as_l1 else self.criterion,
            allocation=allocation,
            scope=self.scope if method.prunes_groups else "all",
            seed=self.seed if self.criterion == "random" else 0,
            floor=float(self.floor) if is_bounded else 0.0,
            ceiling=float(self.ceiling) if is_bounded else 1.0,
            round_to=self.round_to if method.prunes_groups else 1,
        )


def _is_ratio(value: Any) -> bool:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and not math.isnan(value) and 0 <= value <= 1


def _checked(overrides: Any) -> Overrides:
    """Return overrides sorted by name. Raises InputError unless they are (name, ratio) pairs."""
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
