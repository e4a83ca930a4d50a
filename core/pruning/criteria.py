"""How weights and filters are scored; the lowest scores are pruned first.

A new criterion is a function, a line in SCORES and an entry in the vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import InputError
from core.networks.layers import Layer


class NoScoreError(InputError):
    """A criterion that one layer cannot have; the message is a clause that says what it lacks."""


# What scores filters takes: filters (out, in·kh·kw), the batch-norm behind them if there is one, a
# generator of what is random; it returns (out,). What scores weights returns the weights' shape.
ScoreFilters = Callable[[Tensor, _BatchNorm | None, torch.Generator], Tensor]
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


def l1_norms(filters: Tensor, _norm: _BatchNorm | None, _generator: torch.Generator) -> Tensor:
    """Li et al., "Pruning Filters for Efficient ConvNets", 2017."""
    return filters.abs().sum(1)


def l2_norms(filters: Tensor, _norm: _BatchNorm | None, _generator: torch.Generator) -> Tensor:
    return filters.square().sum(1).sqrt()


def batch_norm_scales(
    filters: Tensor, norm: _BatchNorm | None, _generator: torch.Generator
) -> Tensor:
    """Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", 2017."""
    if norm is None or not norm.affine or len(norm.weight) != len(filters):
        raise NoScoreError(
            "batch-norm γ needs a batch-norm layer of its own behind the convolution"
        )
    return as_numbers(norm.weight.detach()).abs()


def random_filters(filters: Tensor, _norm: _BatchNorm | None, generator: torch.Generator) -> Tensor:
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
    return score(as_numbers(weight.detach()), generator)


def filter_scores(
    filters: Tensor, batch_norm: _BatchNorm | None, criterion: str, generator: torch.Generator
) -> Tensor:
    """A score for each output channel, (out,), of filters (out, in·kh·kw).

    Raises NoScoreError for "bn" where no batch-norm follows the layer.
    """
    return SCORES[criterion].of_filters(as_numbers(filters), batch_norm, generator)


def can_score(filters: Tensor, batch_norm: _BatchNorm | None, criterion: str) -> bool:
    """Whether `filter_scores` gives scores; a criterion is tried on no weights."""
    try:
        filter_scores(filters[:, :0], batch_norm, criterion, torch.Generator())
    except NoScoreError:
        return False
    return True


def as_numbers(tensor: Tensor) -> Tensor:
    """16-bit numbers in fp32, so that sums neither overflow nor lose digits; others as they are."""
    return tensor.float() if tensor.element_size() < 4 else tensor


def refuse_nan(layers: Mapping[str, Layer]) -> None:
    """Raise InputError for the first layer with a weight that is not a number."""
    for name, layer in layers.items():
        if layer.weight.detach().isnan().any():
            raise InputError(
                f"The layer {name} has weights that are not numbers (NaN), which have no order: "
                "load a checkpoint whose training did not diverge."
            )
