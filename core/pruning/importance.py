"""How weights and filters are scored; the lowest scores are pruned first."""

import torch
from torch import Tensor, nn

from core.errors import InputError


def weight_scores(weight: Tensor, criterion: str, generator: torch.Generator) -> Tensor:
    """A score for each weight, of the weight's shape.

    L1 and L2 of a single weight order alike (Han et al., "Learning both Weights and Connections",
    2015). `generator` is drawn from by the random criterion only. Raises InputError for "bn".
    """
    match criterion:
        case "l1" | "l2":
            return weight.detach().abs()
        case "random":
            return torch.rand(weight.shape, generator=generator)
    raise InputError(f"The criterion {criterion!r} does not score single weights.")


def filter_scores(
    weight: Tensor, batch_norm: nn.BatchNorm2d | None, criterion: str, generator: torch.Generator
) -> Tensor:
    """A score for each output channel of a convolution or linear layer: (out,).

    L1: Li et al., "Pruning Filters for Efficient ConvNets", 2017. BN γ: Liu et al., "Learning
    Efficient Convolutional Networks through Network Slimming", 2017. Raises InputError for "bn"
    where no batch-norm follows the layer.
    """
    filters = weight.detach().flatten(1)  # (out, in·kh·kw)
    match criterion:
        case "l1":
            return filters.abs().sum(1)
        case "l2":
            return filters.square().sum(1).sqrt()
        case "bn" if batch_norm is not None and batch_norm.affine:
            return batch_norm.weight.detach().abs()
        case "random":
            return torch.rand(len(filters), generator=generator)
    raise InputError(
        f"The criterion {criterion!r} does not score this layer's filters: "
        "batch-norm γ needs a batch-norm layer behind the convolution."
    )
