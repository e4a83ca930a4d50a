"""Merging: a lost channel is replaced by the most similar one that is left, without any image.

Srinivas, Babu: "Data-free Parameter Pruning for Deep Neural Networks", 2015; for filters with
batch-norm and ReLU behind them, Kim, Kim, Park, Jeon: "Neuron Merging: Compensating for Pruned
Neurons", 2020.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import InputError
from core.networks.groups import Group
from core.networks.layers import (
    copy_with,
    filters,
    input_dim,
    output_dim,
    stored_tensors,
    weight_names,
)
from core.networks.narrow import all_but, kept_positions
from core.networks.network import Network
from core.pruning import Pruned
from core.pruning.criteria.facts import batch_norm_behind
from core.specs.vocabulary import METHODS


def merged(baseline: Network, pruned: Pruned) -> Network:
    """Return the pruned network, in which weights that read a lost channel are added to others.

    A channel is taken for a multiple of the one that is left whose filters, with batch-norm folded
    into them, point in the most similar direction; where none points in a similar one, nothing is
    added. Groups that pass depthwise layers are left as they are, weights that are zero stay zero,
    and neither network is modified. Raises InputError for a method that removes no channels.
    """
    if not METHODS[pruned.spec.method].prunes_groups and not pruned.spec.is_identity:
        raise InputError(
            "Merging is for channels that were removed: choose another method, or another recovery."
        )
    stays = kept_positions(baseline.groups, pruned.kept, baseline.module)
    old, new = stored_tensors(baseline.module), stored_tensors(pruned.network.module)
    names = weight_names(baseline.module)
    added: dict[str, Tensor] = {}
    for group in baseline.groups:
        left = pruned.kept.get(group.name)
        if left is None or len(left) == group.size or group.depthwise:
            continue
        gone = all_but(left, group.size)
        heir, scale = _heirs(directions(baseline, group), left, gone)
        for layer, _ in group.consumers:
            name, dim = names[layer], input_dim(baseline.layers[layer])
            full = old[name].detach().movedim(dim, 1)
            if (name, 1 - dim) in stays:
                full = full[torch.from_numpy(stays[name, 1 - dim])]
            inputs = torch.from_numpy(stays[name, dim])
            place = torch.full((full.shape[1],), -1)
            place[inputs] = torch.arange(len(inputs))
            weight = added.get(name, new[name].detach()).movedim(dim, 1).clone()
            for of_channel in torch.from_numpy(group.positions_in(name, dim)).T:
                lost = full[:, of_channel[gone]] * scale.view(1, -1, *[1] * (full.ndim - 2))
                weight.index_add_(1, place[of_channel[heir]], lost.to(weight))
            added[name] = weight.movedim(1, dim).contiguous()
    for name, weight in added.items():
        weight.mul_(new[name].detach() != 0)
    return pruned.network.with_module(copy_with(pruned.network.module, added))


def directions(network: Network, group: Group) -> Tensor:
    """Return the filters of each channel, batch-norm folded in, (channels, weights)."""
    names = weight_names(network.module)
    found = []
    for name in group.producers:
        layer = network.layers[name]
        rows = filters(layer)
        batch_norm = batch_norm_behind(network, name)
        if batch_norm is not None and batch_norm.running_var is not None:
            gain = torch.ones_like(batch_norm.running_var)
            gain = batch_norm.weight.detach() if batch_norm.affine else gain
            rows = rows * (gain / (batch_norm.running_var + batch_norm.eps).sqrt())[:, None]
        positions = group.positions_in(names[name], output_dim(layer))
        found.append(rows[torch.from_numpy(positions)].flatten(1))
    return torch.cat(found, 1)


def _heirs(found: Tensor, left: Tensor, gone: Tensor) -> tuple[Tensor, Tensor]:
    """Return the most similar channel left for each that is gone, and what multiple of it it is."""
    unit = F.normalize(found, dim=1)
    similarity, nearest = (unit[gone] @ unit[left].T).max(1)
    heir = left[nearest]
    tiny = torch.finfo(found.dtype).tiny
    scale = found[gone].norm(dim=1) / found[heir].norm(dim=1).clamp_min(tiny)
    return heir, scale * similarity.clamp_min(0)
