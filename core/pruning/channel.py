"""Channel pruning: whole channels are removed, and every layer that has them becomes narrower.

Li, Kadav, Durdanovic, Samet, Graf: "Pruning Filters for Efficient ConvNets", 2017.
"""

from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.groups import Structure
from core.networks.layers import prunable_layers, stored_tensors, weight_names
from core.networks.narrow import all_but, kept_positions, narrow
from core.pruning.allocation import counts_among_equals, counts_below_one_threshold, rounded
from core.pruning.criteria import (
    SCORES,
    Facts,
    NoScoreError,
    channel_scores,
    refuse_nan,
)
from core.pruning.narrowing import agreeing
from core.pruning.selection import count, lowest_indices, refuse_unknown
from core.specs.pruning import PruningSpec


class ChannelPruner:
    """Prunes one baseline at any ratio by one criterion; the groups are scored once.

    Raises InputError where the criterion can score no group, or needs what is not known.
    """

    def __init__(self, facts: Facts, criterion: str):
        self._network = facts.network
        self._criterion = criterion
        self._scores, self._unscored = group_scores(facts, criterion)
        if facts.network.groups and not self._scores:
            raise InputError(
                f"The criterion {criterion!r} can score no group of channels: "
                f"{next(iter(self._unscored.values()))}."
            )
        self._last = lru_cache(maxsize=1)(self._choose)

    def kept(self, spec: PruningSpec) -> dict[str, Tensor]:
        """The indices that stay, ascending, for each group in scope that can be scored.

        Raises InputError for an override of a group that is not in scope.
        """
        return self._last(spec)[0]

    def prune(self, spec: PruningSpec) -> nn.Module:
        """A narrower copy; the baseline is not touched."""
        return narrow(self._network.module, self._network.groups, self.kept(spec))

    def removes_something(self, spec: PruningSpec) -> bool:
        """Whether one channel at least goes."""
        return any(len(kept) < len(self._scores[name]) for name, kept in self.kept(spec).items())

    def notes(self, spec: PruningSpec) -> tuple[str, ...]:
        """Sentences about the channels that stay whatever the ratio is, and the ratio reached."""
        reasons = self._unscored | self._last(spec)[1]
        held = [f"The channels of the group {name} stay: {why}." for name, why in reasons.items()]
        return (*self._network.structure.fixed.values(), *held, *self._ratio_reached(spec))

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        network = self._network
        return kept_weights(network.module, network.structure, self.kept(spec), layer)

    @property
    def scores(self) -> dict[str, Tensor]:
        """Of each group's channels, (channels,); the lowest go first."""
        return self._scores

    def _choose(self, spec: PruningSpec) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The indices that stay, and groups that keep all of them, with the reason."""
        scores = {
            group.name: self._scores[group.name]
            for group in self._network.groups
            if group.is_in(spec.scope) and group.name in self._scores
        }
        overrides = dict(spec.overrides)
        refuse_unknown(overrides, scores, "group of channels")
        sharing = {name: group for name, group in scores.items() if name not in overrides}
        counts = self._shared(sharing, spec)
        counts |= {name: _part(scores[name], ratio) for name, ratio in overrides.items()}
        removed = {
            name: lowest_indices(scores[name], rounded(number, len(scores[name]), spec.round_to))
            for name, number in counts.items()
        }
        kept = {name: all_but(indices, len(scores[name])) for name, indices in removed.items()}
        agreed, reasons = agreeing(self._network.module, self._network.structure, kept)
        return {name: agreed.get(name, torch.arange(len(scores[name]))) for name in kept}, reasons

    def _shared(self, scores: dict[str, Tensor], spec: PruningSpec) -> dict[str, int]:
        """How many channels go of each group without a ratio of its own."""
        if spec.allocation == "global":
            is_comparable = SCORES[self._criterion].is_comparable
            return counts_below_one_threshold(scores, spec, is_comparable)
        if spec.allocation == "isomorphic":
            return counts_among_equals(scores, self._shapes, spec)
        return {name: _part(group, spec.ratio) for name, group in scores.items()}

    @cached_property
    def _shapes(self) -> dict[str, tuple[tuple[int, torch.Size], ...]]:
        """The places of each group's channels: dimensions, and shapes of their tensors."""
        tensors = stored_tensors(self._network.module)
        return {
            group.name: tuple(
                sorted((each.dim, tensors[each.tensor].shape) for each in group.members)
            )
            for group in self._network.groups
        }

    def _ratio_reached(self, spec: PruningSpec) -> list[str]:
        """A sentence where rounding or the ceiling holds the ratio off what was asked for."""
        if spec.is_identity or (spec.round_to, spec.ceiling) == (1, 1.0):
            return []
        kept = self.kept(spec)
        left = sum(map(len, kept.values()))
        everything = sum(len(self._scores[name]) for name in kept)
        return [f"{1 - left / max(1, everything):.1%} of the channels in scope were removed."]


def group_scores(facts: Facts, criterion: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The scores of each group's channels, (channels,).

    Groups that the criterion cannot score come second, each with the reason.
    """
    groups = facts.network.groups
    refuse_nan({name: facts.layer(name) for group in groups for name in group.producers})
    scores: dict[str, Tensor] = {}
    unscored: dict[str, str] = {}
    for group in groups:
        try:
            scores[group.name] = channel_scores(facts, group, criterion)
        except NoScoreError as error:
            unscored[group.name] = str(error)
    return scores, unscored


def kept_weights(
    model: nn.Module, structure: Structure, kept: dict[str, Tensor], layer: str
) -> Tensor:
    """True where a weight of a layer stays, of the weight's shape."""
    weight, name = prunable_layers(model)[layer].weight, weight_names(model).get(layer)
    stays = torch.ones(weight.shape, dtype=torch.bool)
    for (tensor, dim), indices in kept_positions(structure.groups, kept, model).items():
        if tensor == name:
            gone = np.setdiff1d(np.arange(weight.shape[dim]), indices)
            stays.index_fill_(dim, torch.from_numpy(gone), False)
    return stays


def _part(scores: Tensor, ratio: float) -> int:
    """How many of a group go at a ratio of its own, one channel always left."""
    return min(count(ratio, len(scores)), len(scores) - 1)
