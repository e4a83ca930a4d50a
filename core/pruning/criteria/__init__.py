"""How weights, filters and channels are scored; the lowest scores are pruned first.

A new criterion is a function in `weights`, `filters` or `channels`, a line in SCORES and an entry
in the vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import InputError
from core.networks.groups import Group
from core.networks.layers import Layer, output_dim
from core.networks.network import Network
from core.pruning.criteria import channels, filters, weights
from core.pruning.criteria.facts import Facts, NoScoreError, batch_norm_behind, readers

__all__ = [
    "SCORES",
    "Facts",
    "NoScoreError",
    "batch_norm_behind",
    "can_score",
    "channel_scores",
    "filter_scores",
    "refuse_nan",
    "weight_scores",
]

Unit = Group | str  # a group of channels, or a layer's name
ScoreLayer = Callable[[Facts, str], Tensor]
ScoreGroup = Callable[[Facts, Group], Tensor]


def nothing(_facts: Facts, _unit: Unit) -> None:
    """Require nothing."""


@dataclass(frozen=True)
class Score:
    """A criterion; what it cannot score is None."""

    of_weights: ScoreLayer | None = None
    of_filters: ScoreLayer | None = None
    of_channels: ScoreGroup | None = None  # None: the mean of `of_filters` over the producers
    requires: Callable[[Facts, Unit], object] = nothing  # raises NoScoreError
    is_comparable: bool = False  # whether scores of different groups can be compared as they are


SCORES: Mapping[str, Score] = {
    "l1": Score(weights.magnitudes, filters.l1_norms),
    "l2": Score(weights.magnitudes, filters.l2_norms),  # of single weights the same as L1
    "bn": Score(of_filters=filters.batch_norm_scales, requires=filters.own_batch_norm),
    "fpgm": Score(of_filters=filters.distances),
    "next-l2": Score(of_channels=channels.next_layer_norms, requires=readers),
    "taylor": Score(of_channels=channels.first_order, requires=readers, is_comparable=True),
    "second-order": Score(
        weights.second_order_weights,
        of_channels=channels.second_order,
        requires=readers,
        is_comparable=True,
    ),
    "wanda": Score(weights.wanda, requires=readers),
    "first": Score(of_filters=filters.from_the_first),
    "random": Score(weights.random_weights, filters.random_filters),
}
"""By the names of the vocabulary."""


def weight_scores(facts: Facts, layer: str, criterion: str) -> Tensor:
    """Return a score for each weight of a layer, of the weight's shape.

    Raises InputError for a criterion that scores no single weights, or one that looks at training
    images where none were looked at; NoScoreError where it cannot score this layer.
    """
    score = SCORES[criterion].of_weights
    if score is None:
        raise InputError(f"The criterion {criterion!r} does not score single weights.")
    return score(facts, layer)


def filter_scores(facts: Facts, layer: str, criterion: str) -> Tensor:
    """Return a score for each output channel of a layer, (outputs,).

    Raises InputError for a criterion that scores no filters; NoScoreError where it cannot score
    this layer's.
    """
    score = SCORES[criterion].of_filters
    if score is None:
        raise InputError(f"The criterion {criterion!r} does not score single filters.")
    return score(facts, layer)


def channel_scores(facts: Facts, group: Group, criterion: str) -> Tensor:
    """Return a score for each channel of a group, (channels,), on the CPU.

    Raises InputError for a criterion that scores no channels, or one that looks at training images
    where none were looked at; NoScoreError where it cannot score this group.
    """
    of_channels = SCORES[criterion].of_channels
    if of_channels is not None:
        return of_channels(facts, group).cpu()

    def of_producer(name: str) -> Tensor:
        """Return (channels,) of the group; several filters a channel are averaged."""
        scores = filter_scores(facts, name, criterion)
        positions = group.positions_in(facts.weights[name], output_dim(facts.layer(name)))
        return scores[torch.from_numpy(positions).to(scores.device)].mean(1)

    return torch.stack([of_producer(name) for name in group.producers]).mean(0).cpu()


def can_score(network: Network, unit: Unit, criterion: str) -> bool:
    """Return whether a group's channels, or a layer's weights or filters, can be scored at all."""
    facts, score = Facts(network, torch.Generator()), SCORES[criterion]
    by_producer = isinstance(unit, Group) and score.of_channels is None
    try:
        for each in unit.producers if isinstance(unit, Group) and by_producer else (unit,):
            score.requires(facts, each)
    except NoScoreError:
        return False
    return True


def refuse_nan(layers: Mapping[str, Layer]) -> None:
    """Raise InputError for the first layer with a weight that is not a number."""
    for name, layer in layers.items():
        if layer.weight.detach().isnan().any():
            raise InputError(
                f"The layer {name} has weights that are not numbers (NaN), which have no order: "
                "load a checkpoint whose training did not diverge."
            )
