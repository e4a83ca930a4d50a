"""Bisection in hundredths: the ratio that meets a budget, the budget that keeps an accuracy."""

import math
from bisect import bisect_left
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeVar

from core.errors import InputError
from core.networks.network import Network
from core.pruning import Pruner
from core.pruning.matching import HIGHEST_RATIO
from core.specs.pruning import PruningSpec

Event = TypeVar("Event")


def smallest_ratio(
    pruner: Pruner, spec: PruningSpec, quantity_of: Callable[[Network], float], part: float
) -> float:
    """Return the smallest ratio, in hundredths, that leaves at most `part` (0 to 1) of a quantity.

    The ratio of `spec` is ignored. Raises InputError if even HIGHEST_RATIO leaves more.
    """

    def left(hundredths: int) -> float:
        return quantity_of(pruner.prune(replace(spec, ratio=hundredths / 100)).network)

    highest = round(100 * HIGHEST_RATIO)
    budget = part * left(0)
    if left(highest) > budget:
        raise InputError(
            f"Leaving at most {part:.1%} is impossible with one ratio up to {HIGHEST_RATIO}."
        )
    return bisect_left(range(highest), True, key=lambda each: left(each) <= budget) / 100


def smallest_part(
    loss_of: Callable[[float], Generator[Event, None, float]], least: float, most_lost: float
) -> Generator[Event, None, float]:
    """Return the smallest part, in hundredths from `least` up, whose loss is at most `most_lost`.

    `loss_of` measures a part and returns the accuracy lost (0 to 1); its events are passed on. The
    bisection assumes that more parameters lose less accuracy. If they don't, the returned part may
    not be the smallest one, but its measured loss is within the limit. Return 1 if no smaller part
    is within the limit.
    """
    low, high = math.ceil(100 * least - 1e-9) - 1, 100
    while high - low > 1:
        middle = (low + high) // 2
        lost = yield from loss_of(middle / 100)
        if lost <= most_lost:
            high = middle
        else:
            low = middle
    return high / 100
