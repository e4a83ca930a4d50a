"""Hybrid pruning: channels first, then single weights of what is left."""

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from core.pruning.channel import ChannelPruner
from core.pruning.criteria import Facts
from core.pruning.fine_grained import FineGrainedPruner
from core.specs.pruning import PruningSpec

REST_CRITERION = "l1"


class HybridPruner:
    """Prunes one baseline at any two ratios; the groups are scored once.

    Raises InputError as `ChannelPruner` does.
    """

    def __init__(self, facts: Facts, criterion: str):
        self._facts = facts
        self._channels = ChannelPruner(facts, criterion)
        self._rest = lru_cache(maxsize=1)(self._prepare_rest)

    def kept(self, spec: PruningSpec) -> dict[str, Tensor]:
        """The indices of the channels that stay, ascending, by group."""
        return self._channels.kept(_of_channels(spec))

    def prune(self, spec: PruningSpec) -> nn.Module:
        """A narrower and sparse copy; the baseline is not touched."""
        return self._of_rest(spec).prune(_of_weights(spec))

    def removes_something(self, spec: PruningSpec) -> bool:
        """Whether one channel or one weight at least goes."""
        return self._channels.removes_something(_of_channels(spec)) or self._of_rest(
            spec
        ).removes_something(_of_weights(spec))

    def notes(self, spec: PruningSpec) -> tuple[str, ...]:
        """Sentences about what stays whatever the ratios are."""
        channels = self._channels.notes(_of_channels(spec))
        return tuple(dict.fromkeys((*channels, *self._of_rest(spec).notes(_of_weights(spec)))))

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        stays = self._channels.kept_weights(_of_channels(spec), layer)
        of_rest = self._of_rest(spec).kept_weights(_of_weights(spec), layer)
        return stays.masked_scatter(stays, of_rest)

    @property
    def scores(self) -> dict[str, Tensor]:
        """Of each group's channels, (channels,); the lowest go first."""
        return self._channels.scores

    def _of_rest(self, spec: PruningSpec) -> FineGrainedPruner:
        return self._rest(_of_channels(spec), spec.rest_allocation)

    def _prepare_rest(self, channels: PruningSpec, allocation: str) -> FineGrainedPruner:
        narrower = self._facts.network.with_module(self._channels.prune(channels))
        return FineGrainedPruner(Facts(narrower, torch.Generator()), REST_CRITERION, allocation)


def _of_channels(spec: PruningSpec) -> PruningSpec:
    return replace(spec, method="channel").canonical()


def _of_weights(spec: PruningSpec) -> PruningSpec:
    return PruningSpec("fine", spec.rest_ratio, REST_CRITERION, spec.rest_allocation)
