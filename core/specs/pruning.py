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
    from each group's channels; `channel-mask` zeroes it of each convolution's filters in place;
    `hybrid` does what `channel` does, and then zeroes `rest_ratio` of the weights that are left.
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
    round_to: int = 1  # for methods that remove channels: a multiple of it stays of each group
    # Only for `hybrid`, of the weights that are left when the channels are gone:
    rest_ratio: float = 0.0  # the part that becomes zero, 0 to 1
    rest_allocation: str = "global"

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
        if self.rest_allocation not in METHODS["fine"].allocations:
            raise InputError(
                f"There is no allocation {self.rest_allocation!r} for weights: choose one of "
                f"{', '.join(METHODS['fine'].allocations)}."
            )
        for name in ("floor", "ceiling", "rest_ratio"):
            if not _is_ratio(getattr(self, name)):
                raise InputError(
                    f"The {name.replace('_', ' ')} must be a number from 0 to 1, "
                    f"not {getattr(self, name)!r}."
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
        ratios = (self.ratio, self.rest_ratio, *(ratio for _, ratio in self.overrides))
        return not any(ratios)

    def canonical(self) -> "PruningSpec":
        """Return an equal pruning in which settings without effect have their defaults."""
        pure = self._as_pure_method()
        if pure is not self:
            return pure.canonical()
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
            rest_ratio=float(self.rest_ratio) if method.zeroes_rest else 0.0,
            rest_allocation=self.rest_allocation if method.zeroes_rest else "global",
        )

    def _as_pure_method(self) -> "PruningSpec":
        """Return a hybrid that does only half of its work as the method that does the same."""
        if not METHODS[self.method].zeroes_rest:
            return self
        if not self.rest_ratio:
            return replace(self, method="channel")
        if not self.ratio and not self.overrides:
            return PruningSpec("fine", self.rest_ratio, allocation=self.rest_allocation)
        return self


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
