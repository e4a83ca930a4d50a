"""Channel pruning: whole channels are removed, and every layer that has them becomes narrower.

Li, Kadav, Durdanovic, Samet, Graf: "Pruning Filters for Efficient ConvNets", 2017.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import InputError
from core.networks.groups import Group, Structure
from core.networks.layers import filters, output_dim, prunable_layers, weight_names
from core.networks.narrow import all_but, kept_positions, narrow
from core.pruning.criteria import (
    NoScoreError,
    filter_scores,
    refuse_nan,
)
from core.pruning.narrowing import agreeing
from core.pruning.selection import count, lowest_indices, refuse_unknown
from core.specs.pruning import PruningSpec


class ChannelPruner:
    """Prunes one baseline at any ratio by one criterion; the groups are scored once.

    Raises InputError where the criterion can score no group.
    """

    def __init__(self, baseline: nn.Module, structure: Structure, criterion: str, seed: int):
        self._baseline = baseline
        self._structure = structure
        self._scores, self._unscored = group_scores(baseline, structure, criterion, seed)
        if structure.groups and not self._scores:
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
        return narrow(self._baseline, self._structure.groups, self.kept(spec))

    def removes_something(self, spec: PruningSpec) -> bool:
        """Whether one channel at least goes."""
        return any(len(kept) < len(self._scores[name]) for name, kept in self.kept(spec).items())

    def notes(self, spec: PruningSpec) -> tuple[str, ...]:
        """Sentences about the channels that stay whatever the ratio is."""
        reasons = self._unscored | self._last(spec)[1]
        held = [f"The channels of the group {name} stay: {why}." for name, why in reasons.items()]
        return (*self._structure.fixed.values(), *held)

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        return kept_weights(self._baseline, self._structure, self.kept(spec), layer)

    @property
    def scores(self) -> dict[str, Tensor]:
        """Of each group's channels, (channels,); the lowest go first."""
        return self._scores

    def _choose(self, spec: PruningSpec) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The indices that stay, and groups that keep all of them, with the reason."""
        scores = {
            group.name: self._scores[group.name]
            for group in self._structure.groups
            if group.is_in(spec.scope) and group.name in self._scores
        }
        overrides = dict(spec.overrides)
        refuse_unknown(overrides, scores, "group of channels")
        sharing = {name: group for name, group in scores.items() if name not in overrides}
        if spec.allocation == "global":
            removed = _global(sharing, spec.ratio)
        else:
            removed = {name: _lowest(group, spec.ratio) for name, group in sharing.items()}
        removed |= {name: _lowest(scores[name], ratio) for name, ratio in overrides.items()}
        kept = {name: all_but(indices, len(scores[name])) for name, indices in removed.items()}
        agreed, reasons = agreeing(self._baseline, self._structure, kept)
        return {name: agreed.get(name, torch.arange(len(scores[name]))) for name in kept}, reasons


def group_scores(
    model: nn.Module, structure: Structure, criterion: str, seed: int
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each channel's filter score, averaged over the layers of its group that produce it.

    Groups that the criterion cannot score come second, each with the reason.
    """
    layers = prunable_layers(model)
    refuse_nan({name: layers[name] for group in structure.groups for name in group.producers})
    weights = weight_names(model)

    def of_producer(group: Group, name: str) -> Tensor:
        """(channels,) of the group; several filters a channel are averaged."""
        batch_norm = batch_norm_behind(model, structure, name)
        of_filters = filter_scores(filters(layers[name]), batch_norm, criterion, generator)
        positions = group.positions_in(weights[name], output_dim(layers[name]))
        return of_filters[torch.from_numpy(positions).to(of_filters.device)].mean(1)

    generator = torch.Generator().manual_seed(seed)
    scores: dict[str, Tensor] = {}
    unscored: dict[str, str] = {}
    for group in structure.groups:
        try:
            members = [of_producer(group, name) for name in group.producers]
        except NoScoreError as error:
            unscored[group.name] = str(error)
        else:
            scores[group.name] = torch.stack(members).mean(0).cpu()
    return scores, unscored


def batch_norm_behind(model: nn.Module, structure: Structure, layer: str) -> _BatchNorm | None:
    """The batch-norm that alone takes a layer's output, if there is one."""
    name = structure.batch_norm_of.get(layer)
    found = model.get_submodule(name) if name is not None else None
    return found if isinstance(found, _BatchNorm) else None


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


def _lowest(scores: Tensor, ratio: float) -> Tensor:
    """The lowest of a group, one channel always left."""
    return lowest_indices(scores, min(count(ratio, len(scores)), len(scores) - 1))


def _global(scores: dict[str, Tensor], ratio: float) -> dict[str, Tensor]:
    """The lowest of all groups, each group's scores divided by their mean first.

    The best channel of each group is protected; the next-lowest elsewhere goes in its place.
    """
    if not scores:
        return {}
    sizes = [len(group) for group in scores.values()]
    relative = []
    for group in scores.values():
        scaled = group / group.mean().clamp_min(torch.finfo(group.dtype).tiny)
        last_to_go = scaled.sort(stable=True).indices[-1]
        scaled[last_to_go] = torch.inf
        relative.append(scaled)
    number = min(count(ratio, sum(sizes)), sum(sizes) - len(sizes))
    removed = torch.zeros(sum(sizes), dtype=torch.bool)
    removed[lowest_indices(torch.cat(relative), number)] = True
    return {
        name: mask.nonzero().flatten()
        for name, mask in zip(scores, torch.split(removed, sizes), strict=True)
    }
