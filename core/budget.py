"""Ratios layer by layer that meet a budget, chosen by what each layer bears.

The greedy choice by sensitivity goes back to Li et al., "Pruning Filters for Efficient ConvNets",
2017, and He et al., "AMC: AutoML for Model Compression", 2018, who compare against it.
"""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from torch import nn

from core.cost import Cost, cost, macs_per_layer
from core.errors import InputError
from core.model import ResNet18, prunable_layers
from core.pruning import Pruner, PruningSpec
from core.pruning.groups import trace
from core.pruning.matching import HIGHEST_RATIO

QUANTITIES = ("parameters", "macs")
STEPS = 40  # sizes of each unit that are weighed against each other
Event = TypeVar("Event")


@dataclass(frozen=True)
class Bearing:
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


@dataclass(frozen=True, eq=False)
class Problem:
    """Units that can give up weights or channels one by one, and what is left then.

    `left` takes how many each unit gave up, int64 (..., units), and returns (...,).
    """

    names: tuple[str, ...]
    sizes: np.ndarray  # int64 (units,)
    left: Callable[[np.ndarray], np.ndarray]

    @property
    def everything(self) -> float:
        return float(self.left(np.zeros(len(self.names), dtype=np.int64)))


def weights_problem(model: ResNet18, quantity: str) -> Problem:
    """For fine-grained pruning: parameters that are not zero, or the MACs on them (theoretical)."""
    _check(quantity)
    layers = prunable_layers(model)
    sizes = np.array([layer.weight.numel() for layer in layers.values()])
    if quantity == "macs":
        macs = macs_per_layer(model.widths, model.fc.out_features)
        each = np.array([macs[name] for name in layers]) / sizes
    else:
        each = np.ones(len(sizes))
    fixed = _unprunable(model) if quantity == "parameters" else 0
    # The lowest weights go first, so those that are zero already are gone before any counts.
    zeros = np.array([int((layer.weight == 0).sum()) for layer in layers.values()])

    def left(gone: np.ndarray) -> np.ndarray:
        result: np.ndarray = fixed + ((sizes - np.maximum(gone, zeros)) * each).sum(-1)
        return result

    return Problem(tuple(layers), sizes, left)


def channels_problem(model: ResNet18, quantity: str) -> Problem:
    """For channel pruning: parameters that are there, or MACs executed."""
    _check(quantity)
    groups = trace(model).groups
    layers = prunable_layers(model)
    sizes = np.array([group.size for group in groups])
    outputs = {name: number for number, group in enumerate(groups) for name in group.producers}
    inputs = {
        name: (number, repeat)
        for number, group in enumerate(groups)
        for name, repeat in group.consumers
    }
    macs = macs_per_layer(model.widths, model.fc.out_features)
    # A layer's quantity is a product of its outputs and inputs, of which a group may own either.
    out_size, in_size, each = [], [], []
    out_gone, in_gone = np.zeros((2, len(layers), len(groups)), dtype=np.int64)
    for row, (name, layer) in enumerate(layers.items()):
        outs, ins, *_ = layer.weight.shape
        out_size.append(outs)
        in_size.append(ins)
        each.append((macs[name] if quantity == "macs" else layer.weight.numel()) / (outs * ins))
        if name in outputs:
            out_gone[row, outputs[name]] = 1
        if name in inputs:
            number, repeat = inputs[name]
            in_gone[row, number] = repeat
    # What batch-norms and biases have for each channel goes with it.
    along = np.array(
        [
            sum(_parameters_along(model, name) for name in (*group.producers, *group.batch_norms))
            / group.size
            for group in groups
        ]
    )
    fixed = _unprunable(model) if quantity == "parameters" else 0
    along = along if quantity == "parameters" else np.zeros_like(along)

    def left(gone: np.ndarray) -> np.ndarray:
        outs = np.array(out_size) - gone @ out_gone.T
        ins = np.array(in_size) - gone @ in_gone.T
        result: np.ndarray = (outs * ins * np.array(each)).sum(-1) + fixed - gone @ along
        return result

    return Problem(tuple(group.name for group in groups), sizes, left)


def problem_of(model: ResNet18, method: str, quantity: str) -> Problem:
    """Raises InputError for a method or a quantity that has none."""
    match method:
        case "fine":
            return weights_problem(model, quantity)
        case "channel":
            return channels_problem(model, quantity)
    raise InputError(f"A budget can be solved for fine and channel, not for {method!r}.")


def quantity_of(found: Cost, method: str, quantity: str) -> float:
    """What a problem of the method counts, of a network that was pruned by it."""
    _check(quantity)
    if method == "fine":
        return found.macs_nonzero if quantity == "macs" else found.nonzero
    return found.macs if quantity == "macs" else found.parameters


def smallest_ratio(pruner: Pruner, spec: PruningSpec, quantity: str, part: float) -> float:
    """The smallest ratio, in hundredths, that leaves at most `part` of a quantity.

    For allocations that know one ratio only; that of `spec` plays no role. Raises InputError where
    even HIGHEST_RATIO leaves more.
    """

    def left(hundredths: int) -> float:
        model = pruner.prune(replace(spec, ratio=hundredths / 100)).model
        assert isinstance(model, ResNet18)
        return quantity_of(cost(model), spec.method, quantity)

    low, high = -1, round(100 * HIGHEST_RATIO)
    budget = part * left(0)
    if left(high) > budget:
        raise InputError(
            f"To leave at most {part:.1%} is impossible with one ratio up to {HIGHEST_RATIO}."
        )
    while high - low > 1:
        middle = (low + high) // 2
        if left(middle) <= budget:
            high = middle
        else:
            low = middle
    return high / 100


def solve(problem: Problem, bearings: Mapping[str, Bearing], part: float) -> dict[str, float]:
    """A ratio for each unit such that at most `part`, 0 to 1, of the quantity is left.

    Step by step the unit gives up more that loses the least accuracy for what it saves, as far as
    the scan foresees, losses being taken to add up. At the end no unit could have a single weight
    or channel back. Units that give up nothing are left out. Raises InputError where even the
    largest ratios of the scan leave more.
    """
    budget = part * problem.everything
    planner = _Planner(problem, bearings)
    if problem.left(planner.most) > budget:
        least = least_part(problem, bearings)
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


def least_part(problem: Problem, bearings: Mapping[str, Bearing]) -> float:
    """What is left of the quantity, 0 to 1, where every unit gives up as much as was scanned."""
    return float(problem.left(_Planner(problem, bearings).most)) / problem.everything


class _Planner:
    """Which unit should give up how much next."""

    def __init__(self, problem: Problem, bearings: Mapping[str, Bearing]):
        self._problem = problem
        self._bearings = [bearings[name] for name in problem.names]
        largest = np.array([bearing.largest_ratio for bearing in self._bearings])
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
        return float(self._bearings[unit].losses_at(number / self._problem.sizes[unit]))


def _fewest(problem: Problem, gone: np.ndarray, unit: int, budget: float, most: int) -> int:
    """How few `unit` must give up for the budget; `most` where even that does not meet it."""

    def meets(number: int) -> bool:
        then = gone.copy()
        then[unit] = number
        return bool(problem.left(then) <= budget)

    low, high = -1, int(most)  # more gone is never more left
    while high - low > 1:
        middle = (low + high) // 2
        if meets(middle):
            high = middle
        else:
            low = middle
    return high


def smallest_part(
    loss_of: Callable[[float], Generator[Event, None, float]], least: float, most_lost: float
) -> Generator[Event, None, float]:
    """The smallest part, in hundredths from `least` on, whose loss is at most `most_lost`.

    `loss_of` measures a part and returns the accuracy lost, 0 to 1; its events are passed on. The
    loss is taken to fall as more is left; where it does not, the answer still keeps within it. 1
    where nothing less does.
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


def _check(quantity: str) -> None:
    if quantity not in QUANTITIES:
        raise InputError(f"There is no quantity {quantity!r}: choose {' or '.join(QUANTITIES)}.")


def _unprunable(model: nn.Module) -> int:
    """Parameters that are no prunable layer's weights: batch-norm's and biases."""
    weights = sum(layer.weight.numel() for layer in prunable_layers(model).values())
    return sum(parameter.numel() for parameter in model.parameters()) - weights


def _parameters_along(model: nn.Module, name: str) -> int:
    """The parameters that go with a layer's channels, its weights left out."""
    module = model.get_submodule(name)
    own = sum(parameter.numel() for parameter in module.parameters())
    if isinstance(module, nn.Conv2d | nn.Linear):
        return own - module.weight.numel()
    return own
