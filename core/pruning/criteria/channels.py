"""Criteria for channels by the layers that read them; each returns (channels,) of a group."""

import torch
from torch import Tensor

from core.networks.groups import Group
from core.pruning.criteria.facts import Facts, readers


def next_layer_norms(facts: Facts, group: Group) -> Tensor:
    """Score the L2 norm of the weights that read a channel, averaged over the layers that do.

    As taught in "TinyML and Efficient Deep Learning Computing" (MIT 6.5940).
    """
    norms = []
    for layer, positions in readers(facts, group).items():
        squares = facts.by_input(layer).square().transpose(0, 1).flatten(1).sum(1)
        norms.append(squares[positions.to(squares.device)].sum(1).sqrt())
    return torch.stack(norms).mean(0)


def second_order(facts: Facts, group: Group) -> Tensor:
    """Score what the layers that read a channel lose if it goes and the others make up for it.

    It is a part of the variance of what each computes, summed over them, so channels of different
    groups can be compared: see `relative_loss`.
    """
    losses = [
        facts.inputs(layer).loss[positions].sum(1)
        for layer, positions in readers(facts, group).items()
    ]
    return torch.stack(losses).sum(0)


def first_order(facts: Facts, group: Group) -> Tensor:
    """Score what the loss would change, to the first order, if a channel were gone.

    Molchanov, Mallya, Tyree, Frosio, Kautz: "Importance Estimation for Neural Network Pruning",
    2019; see `changes_of_loss`.
    """
    readers(facts, group)
    return facts.known.changes[group.name]
