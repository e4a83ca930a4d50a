"""Criteria for whole filters; each returns a score for each output channel of a layer, (outputs,).

A group's channel has the mean over the layers that produce it.
"""

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from core.networks.groups import Group
from core.pruning.criteria.facts import Facts, NoScoreError, as_numbers


def l1_norms(facts: Facts, layer: str) -> Tensor:
    """Li et al., "Pruning Filters for Efficient ConvNets", 2017."""
    return facts.filters(layer).abs().sum(1)


def l2_norms(facts: Facts, layer: str) -> Tensor:
    return facts.filters(layer).square().sum(1).sqrt()


def batch_norm_scales(facts: Facts, layer: str) -> Tensor:
    """Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", 2017."""
    return as_numbers(own_batch_norm(facts, layer).weight.detach()).abs()


def own_batch_norm(facts: Facts, layer: Group | str) -> _BatchNorm:
    """Return the batch-norm that scales a layer's filters. Raises NoScoreError if there is none."""
    assert isinstance(layer, str)
    norm = facts.batch_norm_behind(layer)
    if norm is None or not norm.affine or len(norm.weight) != len(facts.filters(layer)):
        raise NoScoreError(
            "batch-norm γ needs a batch-norm layer of its own behind the convolution"
        )
    return norm


def distances(facts: Facts, layer: str) -> Tensor:
    """Score the sum of the distances to all other filters, so that redundant ones go first.

    He, Liu, Wang, Hu, Yang: "Filter Pruning via Geometric Median for Deep Convolutional Neural
    Networks Acceleration" (FPGM), 2019.
    """
    filters = facts.filters(layer)
    return torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist").sum(1)


def from_the_first(facts: Facts, layer: str) -> Tensor:
    """Score the position, so that the first channels stay."""
    return torch.arange(len(facts.filters(layer)), 0, -1, dtype=torch.float32)


def random_filters(facts: Facts, layer: str) -> Tensor:
    return torch.rand(len(facts.filters(layer)), generator=facts.generator)
