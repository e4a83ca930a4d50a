"""A copy of a network with its channels in another order, which computes the same."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from core.networks.groups import Group
from core.networks.layers import copy_with, stored_tensors


def reorder(module: nn.Module, groups: Iterable[Group], order: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy in which the channels of the named groups stand in another order.

    `order` are permutations, by group: the channel that comes first, and so on. Each tensor that
    has the channels is permuted, so that the answers stay the same but for rounding.
    """
    tensors = stored_tensors(module)
    moved: dict[str, Tensor] = {}
    for group in groups:
        if group.name not in order:
            continue
        for member in group.members:
            old = moved.get(member.tensor, tensors[member.tensor]).detach()
            places = torch.from_numpy(member.positions)
            index = torch.arange(old.shape[member.dim])
            index[places.flatten()] = places[order[group.name].cpu()].flatten()
            moved[member.tensor] = old.index_select(member.dim, index.to(old.device))
    return copy_with(module, moved)
