"""A ratio for each unit: the greedy choice by what each of them bears.

It goes back to Li et al., "Pruning Filters for Efficient ConvNets", 2017, and He et al., "AMC:
AutoML for Model Compression", 2018, who compare against it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.studies.budget.problem import Problem

STEPS = 40  # sizes of each unit that are weighed against each other


@dataclass(frozen=True)
class Sensitivity:
    """What accuracy was lost when one unit alone was pruned, as a scan measured it."""

    ratios: tuple[float, ...]  # ascending, above 0
    losses: tuple[float, ...]  # 0 to 1; by chance they may be below 0, or fall

    @property
    def largest_ratio(self) -> float:
        """Beyond it nothing is known."""
        return self.ratios[-1]

    def losses_at(self, ratios: np.ndarray) -> np.ndarray:
        """For planning only: made to rise, and linear between what was measured."""
        rising = np.maximum.accumulate([0.0, *self.losses])
        losses: np.ndarray = np.interp(ratios, [0.0, *self.ratios], rising)
        return losses


def solve(
    problem: Problem, sensitivities: Mapping[str, Sensitivity], part: float
) -> dict[str, float]:
    """A ratio for each unit such that at most `part`, 0 to 1, of the quantity is left.

    Step by step the unit gives up more that loses the least accuracy for what it saves, as far as
    the scan foresees, losses being taken to add up. At the end no unit could have a single weight
    or channel back. Units that give up nothing are left out. Raises InputError where even the
    largest ratios of the scan leave more.
    """
    budget = part * problem.everything
    planner = _Planner(problem, sensitivities)
    if problem.left(planner.most) > budget:
        least = minimum_part(problem, sensitivities)
        raise InputError(
            f"To leave at most {part:.1%} is impossible: pruned as far as the scan went, "
            f"{least:.1%} are left. Ask for more."
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
    """What is left of the quantity, 0 to 1, where every unit gives up as much as was scanned."""
    return float(problem.left(_Planner(problem, sensitivities).most)) / problem.everything


class _Planner:
    """Which unit should give up how much next."""

    def __init__(self, problem: Problem, sensitivities: Mapping[str, Sensitivity]):
        self._problem = problem
        self._sensitivities = [sensitivities[name] for name in problem.names]
        largest = np.array([sensitivity.largest_ratio for sensitivity in self._sensitivities])
        self.most = np.floor(largest * problem.sizes + 1e-9).astype(np.int64)
        # Each candidate: which unit, and how many it would have given up then.
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
        """Of accuracy, (units,), each for itself."""
        return np.array([self._loss(unit, number) for unit, number in enumerate(gone)])

    def cheapest(self, gone: np.ndarray) -> tuple[int, int]:
        """The unit, and how many it should give up in all, that lose least for what they save."""
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
    """How few `unit` must give up for the budget; `most` where even that does not meet it."""

    def meets(number: int) -> bool:
        then = gone.copy()
        then[unit] = number
        return bool(problem.left(then) <= budget)

    return bisect_left(range(int(most)), True, key=meets)  # more gone is never more left
