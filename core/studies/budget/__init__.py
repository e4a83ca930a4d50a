"""Find a ratio for each layer that meets a budget, from the layers' sensitivities."""

from core.studies.budget.problem import QUANTITIES, Problem, problem_of, quantity_of
from core.studies.budget.search import smallest_part, smallest_ratio
from core.studies.budget.solver import Sensitivity, minimum_part, solve
from core.studies.budget.times import LayerTimes, measure_layer_times

__all__ = [
    "QUANTITIES",
    "LayerTimes",
    "Problem",
    "Sensitivity",
    "measure_layer_times",
    "minimum_part",
    "problem_of",
    "quantity_of",
    "smallest_part",
    "smallest_ratio",
    "solve",
]
