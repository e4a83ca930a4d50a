"""Criteria for single weights; each returns scores of the shape of a layer's weight."""

import torch
from torch import Tensor

from core.networks.layers import input_dim
from core.pruning.criteria.facts import Facts


def magnitudes(facts: Facts, layer: str) -> Tensor:
    """Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015."""
    return facts.weight(layer).abs()


def random_weights(facts: Facts, layer: str) -> Tensor:
    return torch.rand(facts.weight(layer).shape, generator=facts.generator)


def wanda(facts: Facts, layer: str) -> Tensor:
    """Score |w|·‖x‖, where x is the input that the weight multiplies, over training images.

    Sun, Liu, Bair, Kolter: "A Simple and Effective Pruning Approach for Large Language Models",
    2023. The paper compares the weights of one output; here the allocation says which compete.
    """
    weight = facts.by_input(layer)
    norms = facts.inputs(layer).energy.sqrt().to(weight.device)
    along_inputs = norms.view(-1, *[1] * (weight.ndim - 2))
    return (weight.abs() * along_inputs).movedim(1, input_dim(facts.layer(layer)))


def second_order_weights(facts: Facts, layer: str) -> Tensor:
    """Score w²/[H⁻¹]: the squared error that is left if the other weights make up for it.

    H are the second moments of what the layer reads. Hassibi, Stork: "Second Order Derivatives for
    Network Pruning: Optimal Brain Surgeon", 1993.
    """
    weight = facts.by_input(layer)
    inverse = facts.inputs(layer).inverse.to(weight.device)
    if inverse.shape[1] == weight[0, 0].numel():
        inverse = inverse.view(weight.shape[1:])
    else:  # the places of a kernel are taken as independent
        inverse = inverse.view(-1, *[1] * (weight.ndim - 2))
    return (weight.square() / inverse).movedim(1, input_dim(facts.layer(layer)))
