"""Reconstruction: what a layer lost is guessed from what it still reads, in closed form.

A layer that read x now reads x_kept. The best linear guess of what is gone, from all that the
kernel sees, is x_gone = B x_kept + b, by least squares over training images; W_kept + W_gone B does
with x_kept what can be done of what W did with x. He, Zhang, Sun: "Channel Pruning for Accelerating
Very Deep Neural Networks", 2017, and Luo, Wu, Lin: "ThiNet", 2017, fit each ratio to images; here
it is fitted to moments, which are collected once. For single weights see `compensated`.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from core.evidence import Moments
from core.networks.layers import copy_with, input_dim, stored_tensors, weight_names
from core.networks.narrow import all_but, kept_positions
from core.networks.network import Network
from core.recovery.compensation import compensated

RIDGE = 1e-3
"""Added to the variance of each input, as a fraction of their mean variance."""


def reconstruct(
    baseline: Network,
    pruned: Network,
    kept: Mapping[str, Tensor],
    moments: Mapping[str, Moments],
    ridge: float = RIDGE,
) -> Network:
    """Return the pruned network with the weights of all layers that lost something adapted.

    `kept` are the ascending channels that stay, by group. In the pruned network the others are
    gone, or constant, and the weights that read them become zero; weights that are zero stay so.
    `moments` are the baseline's, by layer; layers without are left as they are. Neither network is
    modified.
    """
    stays = kept_positions(baseline.groups, kept, baseline.module)
    old, new = stored_tensors(baseline.module), stored_tensors(pruned.module)
    names = weight_names(baseline.module)
    adapted: dict[str, Tensor] = {}
    for layer, of_inputs in moments.items():
        name, dim = names[layer], input_dim(baseline.layers[layer])
        target = new[name].detach().movedim(dim, 1)  # (outputs, inputs, ...)
        weight = old[name].detach().movedim(dim, 1)
        if len(target) < len(weight):
            weight = weight[torch.from_numpy(stays[name, 1 - dim])]
        everything = np.arange(weight.shape[1])
        left = torch.from_numpy(stays.get((name, dim), everything))
        there = left if target.shape[1] > len(left) else torch.arange(len(left))
        is_left = target[:, there] != 0
        lost = len(left) < len(everything)
        some_left = is_left.flatten(1).any(1)
        zeroed = bool((~is_left & (weight[:, left] != 0))[some_left].any())
        if not lost and not zeroed:
            continue
        rows = of_inputs.rows(weight.cpu())
        if lost:
            rows, shift = made_up_for(rows, left, of_inputs, ridge)
            bias = name.removesuffix("weight") + "bias"
            if bias in new:
                shift = shift.view(len(target), -1).sum(1).to(target) * some_left
                adapted[bias] = new[bias].detach() + shift
        if zeroed:
            stay = of_inputs.rows(is_left.cpu())
            fitted = compensated(rows.flatten(1), stay.flatten(1), of_inputs.elimination(left))
            rows = fitted.view(rows.shape)
        filled = torch.zeros_like(target)
        filled[:, there] = of_inputs.weight(rows, target.shape[2:]).to(target) * is_left
        adapted[name] = filled.movedim(1, dim).contiguous()
    return pruned.with_module(copy_with(pruned.module, adapted))


def made_up_for(
    rows: Tensor, left: Tensor, moments: Moments, ridge: float
) -> tuple[Tensor, Tensor]:
    """Return the best weights of the inputs that are left, and what to add to each row's answer.

    `rows` are the weights of all inputs, (rows, inputs, places), `left` ascending; their type is
    that of the computation. What is returned is (rows, inputs left, places) and (rows,).
    """
    gone = all_but(left, rows.shape[1])
    lost = rows[:, gone]
    covariance = moments.covariance(left, left).to(rows)
    raised = ridge * covariance.diagonal().mean()
    covariance.diagonal().add_(raised.clamp_min(torch.finfo(torch.float32).tiny))
    target = moments.covariance(left, gone).to(rows) @ lost.flatten(1).T
    added = _solved(covariance, target).T.reshape(len(rows), len(left), -1)
    mean = moments.mean.to(rows)
    shift = lost.sum(2) @ mean[gone] - added.sum(2) @ mean[left]
    return rows[:, left] + added, shift


def _solved(matrix: Tensor, target: Tensor) -> Tensor:
    """Solve a symmetric positive system: in float64 if it is too near to singular for less."""
    factor, failure = torch.linalg.cholesky_ex(matrix)
    if failure:
        factor, target = torch.linalg.cholesky(matrix.double()), target.double()
    return torch.cholesky_solve(target, factor).to(matrix)
