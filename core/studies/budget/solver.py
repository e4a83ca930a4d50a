"""A greedy solver that chooses a ratio for each unit from its sensitivity.

The idea is from Li et al., "Pruning Filters for Efficient ConvNets", 2017; He et al., "AMC: AutoML
for Model Compression", 2018, compare against it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.studies.budget.problem import Problem

STEPS = 40  # candidate sizes of each unit


@dataclass(frozen=True)
class Sensitivity:
    """The accuracy lost at each ratio when one unit alone is pruned, as measured by a scan."""

    ratios: tuple[float, ...]  # ascending, above 0
    losses: tuple[float, ...]  # 0 to 1; noise can make them negative or decreasing

    @property
    def largest_ratio(self) -> float:
        """The largest ratio that was scanned."""
        return self.ratios[-1]

    def losses_at(self, ratios: np.ndarray) -> np.ndarray:
        """Interpolate the losses linearly, made non-decreasing; use them only for planning."""
        rising = np.maximum.accumulate([0.0, *self.losses])
        losses: np.ndarray = np.interp(ratios, [0.0, *self.ratios], rising)
        return losses


def solve(
    problem: Problem, sensitivities: Mapping[str, Sensitivity], part: float
) -> dict[str, float]:
    """Return a ratio for each unit, so that at most `part` (0 to 1) of the quantity is left.

    In each step, prune the unit that loses the least accuracy per quantity saved, assuming that the
    losses of the scan add up. At the end, give back weights or channels that the budget allows to
    keep. Units that lose nothing are left out. Raises InputError if even the largest ratios of the
    scan leave more.
    """
    budget = part * problem.everything
    planner = _Planner(problem, sensitivities)
    if problem.left(planner.most) > budget:
        least = minimum_part(problem, sensitivities)
        raise InputError(
            f"Leaving at most {part:.1%} is impossible: at the largest scanned ratios, "
            f"{least:.1%} are left. Raise the limit."
        )
    gone = np.zeros(len(problem.names), dtype=np.int64)
    while problem.left(gone) > budget:
        unit, number = planner.cheapest(gone)
        gone[unit] = _fewest(problem, gone, unit, budget, number)
    for unit in np.argsort(-planner.losses(gone), kind="stable"):
        gone[unit] = _fewest(problem, gone, unit, budget, gone[unit])
    return {
        name: int(number) / int(size)
        for name, number, size in zip(problem.names, gone, problem.sizes, strict=True)
        if number
    }


def minimum_part(problem: Problem, sensitivities: Mapping[str, Sensitivity]) -> float:
    """Return the fraction of the quantity (0 to 1) left at the largest ratios of the scan."""
    return float(problem.left(_Planner(problem, sensitivities).most)) / problem.everything


class _Planner:
    """Chooses which unit to prune next, and how far."""

    def __init__(self, problem: Problem, sensitivities: Mapping[str, Sensitivity]):
        self._problem = problem
        self._sensitivities = [sensitivities[name] for name in problem.names]
        largest = np.array([sensitivity.largest_ratio for sensitivity in self._sensitivities])
        self.most = np.floor(largest * problem.sizes + 1e-9).astype(np.int64)
        # Each candidate: a unit, and how many weights or channels it has lost in total.
        candidates = [
            (unit, number)
            for unit, most in enumerate(self.most)
            for number in np.unique(np.linspace(0, most, STEPS + 1).round().astype(np.int64))[1:]
        ]
        self._units, self._numbers = np.array(candidates, dtype=np.int64).reshape(-1, 2).T
        self._losses = np.array(
            [self._loss(unit, number) for unit, number in candidates], dtype=np.float64
        )

    def losses(self, gone: np.ndarray) -> np.ndarray:
        """Return the accuracy lost by each unit alone, (units,)."""
        return np.array([self._loss(unit, number) for unit, number in enumerate(gone)])

    def cheapest(self, gone: np.ndarray) -> tuple[int, int]:
        """Return the candidate (unit, total) that loses the least accuracy per quantity saved."""
        ahead = self._numbers > gone[self._units]
        units, numbers = self._units[ahead], self._numbers[ahead]
        then = np.repeat(gone[None], len(units), 0)
        then[np.arange(len(units)), units] = numbers
        saved = self._problem.left(gone) - self._problem.left(then)
        lost = self._losses[ahead] - self.losses(gone)[units]
        price = lost / np.maximum(saved, np.finfo(np.float64).tiny)
        best = np.lexsort((-saved, price))[0]
        return int(units[best]), int(numbers[best])

    def _loss(self, unit: int, number: int) -> float:
        return float(self._sensitivities[unit].losses_at(number / self._problem.sizes[unit]))


def _fewest(problem: Problem, gone: np.ndarray, unit: int, budget: float, most: int) -> int:
    """Return the fewest that `unit` must lose to meet the budget; `most` if it is not enough."""

    def meets(number: int) -> bool:
        then = gone.copy()
        then[unit] = number
        return bool(problem.left(then) <= budget)

    return bisect_left(range(int(most)), True, key=meets)  # `left` never rises with `number`
