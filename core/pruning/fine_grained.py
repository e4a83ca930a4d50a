"""Fine-grained pruning: single weights become zero.

Han, Pool, Tran, Dally: "Learning both Weights and Connections for Efficient Neural Networks", 2015.
"""

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.layers import copy_with, prunable_layers
from core.pruning.allocation import bounds, erdos_renyi_kernel_counts, lamp_scores
from core.pruning.criteria import Facts, NoScoreError, refuse_nan, weight_scores
from core.pruning.selection import RankedScores, count, one_of_each, refuse_unknown
from core.specs.pruning import PruningSpec

Limits = tuple[tuple[int, int], ...]  # the least and the most of each layer


class FineGrainedPruner:
    """Prunes one baseline at any ratio by one criterion; the weights are sorted once."""

    def __init__(self, facts: Facts, criterion: str, allocation: str):
        baseline, structure = facts.network.module, facts.network.structure
        self._baseline = baseline
        self._allocation = allocation
        self._names = facts.weights
        layers = prunable_layers(baseline)
        stored = {name: layers[name] for name in self._names if name not in structure.computed}
        self._layers, shared = one_of_each(stored, self._names)
        notes = [*structure.computed.values(), *shared]
        if layers and not stored:
            raise InputError(f"No weight can be pruned: {notes[0]}")
        refuse_nan(self._layers)
        self._shapes = {name: tuple(layer.weight.shape) for name, layer in self._layers.items()}
        scores = {}
        for name in self._layers:
            try:
                scores[name] = weight_scores(facts, name, criterion).flatten().cpu()
            except NoScoreError as error:
                notes.append(f"The weights of {name} stay: {error}.")
        if layers and not scores:
            raise InputError(f"No weight can be scored by {criterion!r}: {notes[-1]}")
        self._notes = tuple(notes)
        if allocation == "lamp":
            scores = {name: lamp_scores(flat) for name, flat in scores.items()}
        self._rankings = {name: RankedScores(flat) for name, flat in scores.items()}
        self._end_to_end = lru_cache(maxsize=1)(self._rank_end_to_end)

    def masks(self, spec: PruningSpec) -> dict[str, Tensor]:
        """True where a weight goes, by layer, flat.

        A layer with a ratio of its own loses round(ratio * n) of its weights; so does each other
        layer where the allocation is `uniform`, and for any other one all of them together. Raises
        InputError for an override of a layer that is not there.
        """
        overrides = dict(spec.overrides)
        refuse_unknown(overrides, self._rankings, "layer")
        sharing = tuple(name for name in self._rankings if name not in overrides)
        if self._allocation in ("global", "lamp"):
            chosen = self._lowest_of_all(sharing, spec)
        elif self._allocation == "erk":
            shapes = {name: self._shapes[name] for name in sharing}
            chosen = self._lowest(erdos_renyi_kernel_counts(shapes, spec.ratio))
        else:
            chosen = self._lowest(self._counts(dict.fromkeys(sharing, spec.ratio)))
        return chosen | self._lowest(self._counts(overrides))

    def prune(self, spec: PruningSpec) -> nn.Module:
        """A sparse copy; the baseline is not touched."""
        sparse = {
            self._names[name]: _zeroed(self._layers[name].weight.detach(), mask)
            for name, mask in self.masks(spec).items()
        }
        return copy_with(self._baseline, sparse)

    def kept(self, spec: PruningSpec) -> dict[str, Tensor]:  # noqa: ARG002 none goes as a whole
        """Nothing: single weights go, no channel as a whole."""
        return {}

    def removes_something(self, spec: PruningSpec) -> bool:
        """Whether the ratios come to one weight at least."""
        overrides = dict(spec.overrides)
        sharing = [name for name in self._rankings if name not in overrides]
        if self._allocation == "uniform":
            shared = any(self._counts(dict.fromkeys(sharing, spec.ratio)).values())
        else:
            shared = self._shared_counts(sharing, spec)[0] > 0
        return shared or any(self._counts(overrides).values())

    def notes(self, spec: PruningSpec) -> tuple[str, ...]:  # noqa: ARG002 the same for all
        """Sentences about the weights that stay whatever the ratio is."""
        return self._notes

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        shape = prunable_layers(self._baseline)[layer].weight.shape
        gone = {self._names[name]: mask for name, mask in self.masks(spec).items()}
        mask = gone.get(self._names.get(layer, ""))
        return torch.ones(shape, dtype=torch.bool) if mask is None else ~mask.view(shape)

    def _counts(self, ratios: dict[str, float]) -> dict[str, int]:
        return {
            name: count(ratio, len(self._rankings[name].scores)) for name, ratio in ratios.items()
        }

    def _lowest(self, counts: dict[str, int]) -> dict[str, Tensor]:
        return {name: self._rankings[name].lowest(number) for name, number in counts.items()}

    def _lowest_of_all(self, names: tuple[str, ...], spec: PruningSpec) -> dict[str, Tensor]:
        if not names:
            return {}
        number, limits = self._shared_counts(names, spec)
        ranking = self._end_to_end(names, limits)
        sizes = [len(self._rankings[name].scores) for name in names]
        return dict(zip(names, torch.split(ranking.lowest(number), sizes), strict=True))

    def _shared_counts(self, names: Iterable[str], spec: PruningSpec) -> tuple[int, Limits]:
        """How many weights go of all these layers, and the least and the most of each."""
        sizes = [len(self._rankings[name].scores) for name in names]
        limits = tuple(bounds(spec, size, size) for size in sizes)
        return min(count(spec.ratio, sum(sizes)), sum(most for _, most in limits)), limits

    def _rank_end_to_end(self, names: tuple[str, ...], limits: Limits) -> RankedScores:
        scores = []
        for name, (lower, upper) in zip(names, limits, strict=True):
            ranking = self._rankings[name]
            bounded = ranking.scores
            if lower or upper < len(bounded):
                bounded = bounded.masked_fill(ranking.lowest(lower), -torch.inf)
                bounded = bounded.masked_fill(~ranking.lowest(upper), torch.inf)
            scores.append(bounded)
        return RankedScores(torch.cat(scores))


INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""As wide as a weight, by bytes."""


def _zeroed(weight: Tensor, mask: Tensor) -> Tensor:
    """A copy of `weight` with +0.0 where the flat `mask` is True.

    The bits are multiplied by 0 or 1 as integers: ten times as fast as masked_fill, and free of the
    -0.0 that a product of floats leaves.
    """
    kept = mask.logical_not().view(weight.shape).to(weight.device)
    bits = weight.contiguous().view(INTEGERS[weight.element_size()])
    return (bits * kept).view(weight.dtype)
