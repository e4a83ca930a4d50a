"""The ratio at which a method leaves so many parameters: equal ratios aren't equal sizes."""

from dataclasses import replace

from core.model import nonzero_parameters
from core.pruning.pruner import Pruner
from core.pruning.spec import PruningSpec

HIGHEST_RATIO = 0.95


def ratio_that_removes(pruner: Pruner, spec: PruningSpec, part: float) -> float:
    """The ratio, in hundredths up to 0.95, that comes nearest to removing `part` of all parameters.

    A parameter that became zero counts as removed. The ratio of `spec` itself plays no role. Where
    the method cannot remove as much, as with the scope `internal`, the answer is 0.95.
    """
    everything = sum(nonzero_parameters(pruner.baseline).values())
    wanted = everything * (1 - part)

    def left(hundredths: int) -> int:
        pruned = pruner.prune(replace(spec, ratio=hundredths / 100)).model
        return sum(nonzero_parameters(pruned).values())

    low, high = 0, round(HIGHEST_RATIO * 100)  # what is left falls from low to high
    left_at = {low: everything, high: left(high)}
    while high - low > 1:
        middle = (low + high) // 2
        left_at[middle] = left(middle)
        if left_at[middle] >= wanted:
            low = middle
        else:
            high = middle
    nearest = min((low, high), key=lambda hundredths: abs(left_at[hundredths] - wanted))
    return nearest / 100
