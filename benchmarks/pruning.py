"""Benchmarks of pruning at a new ratio with cost, alone and against other libraries."""

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
    """Measure the milliseconds of fine-grained pruning with global allocation."""
    timings = alternate({"core": core_side(FINE, new_ratio)}, repeats)
    return Measured(1000 * median(timings["core"]), timings)


def channel(repeats: int) -> Measured:
    """Measure the milliseconds of channel pruning with uniform allocation."""
    timings = alternate({"core": core_side(CHANNEL, new_ratio)}, repeats)
    return Measured(1000 * median(timings["core"]), timings)


def fine_against_torch(repeats: int) -> Measured:
    """Compare with torch's global pruning of a copy, made permanent, without computing its cost."""

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
    """Compare with Torch-Pruning of a copy: dependency graph, group L1, step, counts."""
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
    """Return a side that prunes, reports each layer and computes the cost."""
    pruner = Pruner(network()[0])

    def prune(number: int) -> Cost:
        return cost(pruner.prune(replace(spec, ratio=ratio(number))).network)

    return prune


def new_ratio(number: int) -> float:
    """Return a ratio from 0.05 to 0.94, in shuffled order; the first 90 differ."""
    return (5 + 37 * number % 90) / 100


def even_ratio(number: int) -> float:
    """Return a ratio that needs no rounding to whole channels, where libraries differ."""
    return (0.25, 0.5)[number % 2]
