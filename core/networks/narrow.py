"""A copy of a network with some channels only."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from core.networks.groups import Group, Place
from core.networks.layers import copy_with, stored_tensors
from core.networks.sizes import update_sizes


def narrow(module: nn.Module, groups: Iterable[Group], kept: Mapping[str, Tensor]) -> nn.Module:
    """A copy with only the `kept` channels, ascending indices, of the groups that it names.

    The module is not touched; a group that is not named keeps all. Sizes that modules of torch
    keep as attributes follow their tensors.
    """
    tensors = stored_tensors(module)
    narrowed: dict[str, Tensor] = {}
    for (name, dim), indices in kept_positions(groups, kept, module).items():
        old = narrowed.get(name, tensors[name]).detach()
        narrowed[name] = old.index_select(dim, torch.from_numpy(indices).to(old.device))
    copy = copy_with(module, narrowed)
    for owner in dict.fromkeys(name.rpartition(".")[0] for name in narrowed):
        update_sizes(copy.get_submodule(owner))
    return copy


def kept_positions(
    groups: Iterable[Group], kept: Mapping[str, Tensor], module: nn.Module
) -> dict[Place, np.ndarray]:
    """What stays of each dimension of each stored tensor that loses something, ascending."""
    tensors = stored_tensors(module)
    stays: dict[Place, np.ndarray] = {}
    for group in groups:
        if group.name not in kept or len(kept[group.name]) == group.size:
            continue
        gone = np.ones(group.size, dtype=bool)
        gone[kept[group.name].cpu().numpy()] = False
        for member in group.members:
            place = (member.tensor, member.dim)
            if place not in stays:
                stays[place] = np.ones(tensors[member.tensor].shape[member.dim], dtype=bool)
            stays[place][member.positions[gone].ravel()] = False
    return {place: mask.nonzero()[0] for place, mask in stays.items()}


def narrow_groups(
    groups: Iterable[Group], kept: Mapping[str, Tensor], module: nn.Module
) -> tuple[Group, ...]:
    """The groups of the narrower copy that `narrow` makes, with the channels that are left.

    Tracing the copy could find other groups: with few channels left, a convolution in groups has
    the form of a depthwise one.
    """
    groups = tuple(groups)
    stays = kept_positions(groups, kept, module)
    found = []
    for group in groups:
        left = kept[group.name].cpu().numpy() if group.name in kept else np.arange(group.size)
        members = []
        for member in group.members:
            positions = member.positions[left]
            if (member.tensor, member.dim) in stays:
                positions = np.searchsorted(stays[member.tensor, member.dim], positions)
            members.append(replace(member, positions=positions))
        found.append(replace(group, size=len(left), members=tuple(members)))
    return tuple(found)


def all_but(indices: Tensor, size: int) -> Tensor:
    """The other indices below `size`, ascending."""
    is_other = torch.ones(size, dtype=torch.bool)
    is_other[indices] = False
    return is_other.nonzero().flatten()
