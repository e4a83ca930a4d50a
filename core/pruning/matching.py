"""The ratio at which a method leaves so many parameters: equal ratios aren't equal sizes."""

from bisect import bisect_left
from dataclasses import replace
from functools import cache

from core.pruning.pruner import Pruner
from core.specs.pruning import PruningSpec

HIGHEST_RATIO = 0.95


def ratio_that_removes(pruner: Pruner, spec: PruningSpec, part: float) -> float:
    """The ratio, in hundredths up to 0.95, that comes nearest to removing `part` of all parameters.

    A parameter that became zero counts as removed. The ratio of `spec` itself plays no role. Where
    the method cannot remove as much, as with the scope `internal`, the answer is 0.95.
    """
    wanted = sum(pruner.baseline.nonzero.values()) * (1 - part)

    @cache
    def left(hundredths: int) -> int:
        pruned = pruner.prune(replace(spec, ratio=hundredths / 100)).network
        return sum(pruned.nonzero.values())

    highest = round(HIGHEST_RATIO * 100)
    first_below = bisect_left(range(highest), True, lo=1, key=lambda each: left(each) < wanted)
    nearest = min((first_below - 1, first_below), key=lambda each: abs(left(each) - wanted))
    return nearest / 100
