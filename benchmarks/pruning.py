"""Pruning at a ratio not asked for before, counts included, alone and beside other libraries."""

import copy
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch.nn.utils import prune as torch_prune

from benchmarks.benchmark import CannotRunError, Measured
from benchmarks.material import network
from benchmarks.timing import Side, alternate, speedup
from core.measuring.cost import cost
from core.measuring.outcome import Cost
from core.networks.layers import prunable_layers
from core.networks.network import Network
from core.pruning import Pruner
from core.specs.pruning import PruningSpec

FINE = PruningSpec("fine", 0, allocation="global")
CHANNEL = PruningSpec("channel", 0)


def fine(repeats: int) -> Measured:
    """One threshold for all weights."""
    timings = alternate({"core": core_side(FINE, new_ratio)}, repeats)
    return Measured(1000 * median(timings["core"]), timings)


def channel(repeats: int) -> Measured:
    """The same part of every group's channels."""
    timings = alternate({"core": core_side(CHANNEL, new_ratio)}, repeats)
    return Measured(1000 * median(timings["core"]), timings)


def fine_against_torch(repeats: int) -> Measured:
    """Beside torch's global pruning on a copy, made permanent; that side counts nothing."""

    def by_torch(number: int) -> Network:
        model = copy.deepcopy(network()[0].module)
        weights = [(layer, "weight") for layer in prunable_layers(model).values()]
        torch_prune.global_unstructured(
            weights, pruning_method=torch_prune.L1Unstructured, amount=new_ratio(number)
        )
        for layer, name in weights:
            torch_prune.remove(layer, name)  # type: ignore[no-untyped-call]
        return network()[0].with_module(model)

    def check(found: dict[str, Any]) -> None:
        assert found["core"].nonzero == cost(found["torch"]).nonzero

    timings = alternate(
        {"core": core_side(FINE, new_ratio), "torch": by_torch}, repeats, check=check
    )
    return Measured(speedup(timings, "core", "torch"), timings)


def channel_against_torch_pruning(repeats: int) -> Measured:
    """Beside Torch-Pruning on a copy: dependency graph, group L1, step, counts."""
    try:
        import torch_pruning
    except ImportError as error:
        raise CannotRunError(
            "It needs Torch-Pruning: python -m pip install -r requirements-dev.txt."
        ) from error
    original = copy.deepcopy(network()[0].module).requires_grad_(
        True
    )  # its tracing follows gradients
    example = torch.zeros(1, 3, 32, 32)

    def by_torch_pruning(number: int) -> int:
        model = copy.deepcopy(original)
        pruner = torch_pruning.pruner.BasePruner(
            model,
            example,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=1),
            pruning_ratio=even_ratio(number),
            ignored_layers=[model.get_submodule("fc")],
        )
        pruner.step()
        _, parameters = torch_pruning.utils.count_ops_and_params(model, example)
        return int(parameters)

    def check(found: dict[str, Any]) -> None:
        assert found["core"].parameters == found["torch-pruning"]

    timings = alternate(
        {"core": core_side(CHANNEL, even_ratio), "torch-pruning": by_torch_pruning},
        repeats,
        check=check,
    )
    return Measured(speedup(timings, "core", "torch-pruning"), timings)


def core_side(spec: PruningSpec, ratio: Callable[[int], float]) -> Side:
    """Prune, report each layer and count; what all ratios share is prepared by the warm-up."""
    pruner = Pruner(network()[0])

    def prune(number: int) -> Cost:
        return cost(pruner.prune(replace(spec, ratio=ratio(number))).network)

    return prune


def new_ratio(number: int) -> float:
    """From 0.05 to 0.94, in no order; the first 90 differ."""
    return (5 + 37 * number % 90) / 100


def even_ratio(number: int) -> float:
    """A ratio at which whole channels go: rounding, in which libraries differ, plays no part."""
    return (0.25, 0.5)[number % 2]
