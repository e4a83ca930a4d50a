"""Reconstruction of single weights: what is left in a filter makes up for what was zeroed.

Zeroing a weight changes an answer by an error that the weights after it in the filter can cancel in
part, in the best way by least squares over training images. Hassibi, Stork: "Second Order
Derivatives for Network Pruning: Optimal Brain Surgeon", 1993, column by column for all filters at
once as Frantar, Alistarh: "SparseGPT", 2023.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.evidence import Moments
from core.networks.layers import copy_with, input_dim, stored_tensors, weight_names
from core.networks.network import Network

BLOCK = 64
"""Columns after which all later ones are updated at once."""


def update_weights(baseline: Network, pruned: Network, moments: Mapping[str, Moments]) -> Network:
    """Return the pruned network with the weights that are left adapted; zeros stay zero.

    Both networks have the same shapes. `moments` are the baseline's, by layer; layers without are
    left as they are. Neither network is modified.
    """
    old, new = stored_tensors(baseline.module), stored_tensors(pruned.module)
    names = weight_names(baseline.module)
    adapted = {}
    for layer, of_inputs in moments.items():
        name, dim = names[layer], input_dim(baseline.layers[layer])
        weight, target = (each[name].detach().movedim(dim, 1) for each in (old, new))
        is_left = target != 0
        if is_left.all():
            continue
        rows, stays = of_inputs.rows(weight.cpu()), of_inputs.rows(is_left.cpu())
        fitted = compensated(rows.flatten(1), stays.flatten(1), of_inputs.elimination)
        fitted = of_inputs.weight(fitted.view(rows.shape), weight.shape[2:])
        adapted[name] = fitted.to(target).movedim(1, dim).contiguous()
    return pruned.with_module(copy_with(pruned.module, adapted))


def compensated(rows: Tensor, is_left: Tensor, elimination: Tensor) -> Tensor:
    """Zero weights in order, and let the later ones in a row make up for each as well as they can.

    `rows` and `is_left` are (rows, columns); `elimination` as in `Moments`.
    """
    rows = rows.clone()
    for start in range(0, rows.shape[1], BLOCK):
        stop = min(start + BLOCK, rows.shape[1])
        errors = rows.new_empty(len(rows), stop - start)
        for column in range(start, stop):
            error = rows[:, column] * ~is_left[:, column] / elimination[column, column]
            rows[:, column:stop] -= torch.outer(error, elimination[column, column:stop])
            errors[:, column - start] = error
        rows[:, stop:] -= errors @ elimination[start:stop, stop:]
    return rows * is_left
