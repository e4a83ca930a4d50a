"""How weights and filters are scored; the lowest scores are pruned first.

A new criterion is a function, a line in SCORES and an entry in the vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.errors import InputError

# What scores filters takes: filters (out, in·kh·kw), the batch-norm behind them if there is one, a
# generator of what is random; it returns (out,). What scores weights returns the weights' shape.
ScoreFilters = Callable[[Tensor, nn.BatchNorm2d | None, torch.Generator], Tensor]
ScoreWeights = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Score:
    of_filters: ScoreFilters
    of_weights: ScoreWeights | None  # None where it means nothing for single weights


def magnitudes(weight: Tensor, _generator: torch.Generator) -> Tensor:
    """Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015."""
    return weight.abs()


def random_weights(weight: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(weight.shape, generator=generator)


def l1_norms(filters: Tensor, _norm: nn.BatchNorm2d | None, _generator: torch.Generator) -> Tensor:
    """Li et al., "Pruning Filters for Efficient ConvNets", 2017."""
    return filters.abs().sum(1)


def l2_norms(filters: Tensor, _norm: nn.BatchNorm2d | None, _generator: torch.Generator) -> Tensor:
    return filters.square().sum(1).sqrt()


def batch_norm_scales(
    _filters: Tensor, norm: nn.BatchNorm2d | None, _generator: torch.Generator
) -> Tensor:
    """Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", 2017."""
    if norm is None or not norm.affine:
        raise InputError(
            "The criterion 'bn' does not score this layer's filters: "
            "batch-norm γ needs a batch-norm layer behind the convolution."
        )
    return norm.weight.detach().abs()


def random_filters(
    filters: Tensor, _norm: nn.BatchNorm2d | None, generator: torch.Generator
) -> Tensor:
    return torch.rand(len(filters), generator=generator)


SCORES = {
    "l1": Score(l1_norms, magnitudes),
    "l2": Score(l2_norms, magnitudes),  # of single weights the same as L1
    "bn": Score(batch_norm_scales, None),
    "random": Score(random_filters, random_weights),
}
"""By the names of the vocabulary."""


def weight_scores(weight: Tensor, criterion: str, generator: torch.Generator) -> Tensor:
    """A score for each weight, of the weight's shape.

    `generator` is drawn from by the random criterion only. Raises InputError for a criterion that
    scores filters alone.
    """
    score = SCORES[criterion].of_weights
    if score is None:
        raise InputError(f"The criterion {criterion!r} does not score single weights.")
    return score(weight.detach(), generator)


def filter_scores(
    weight: Tensor, batch_norm: nn.BatchNorm2d | None, criterion: str, generator: torch.Generator
) -> Tensor:
    """A score for each output channel of a convolution or linear layer: (out,).

    Raises InputError for "bn" where no batch-norm follows the layer.
    """
    return SCORES[criterion].of_filters(weight.detach().flatten(1), batch_norm, generator)
