"""Reconstruction: what a layer lost is guessed from what it still reads, in closed form.

A layer that read x now reads x_kept. The best linear guess of what is gone is
x_gone = B x_kept + b, by least squares over training images; adding W_gone B to W_kept gives the
layer that does with x_kept what it can of what it did with x. He, Zhang, Sun: "Channel Pruning for
Accelerating Very Deep Neural Networks", 2017, and Luo, Wu, Lin: "ThiNet", 2017, fit each ratio to
images; here it is fitted to moments, which are collected once.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.evidence.moments import Moments
from core.networks.layers import copy_with, input_dim, stored_tensors, weight_names
from core.networks.narrow import all_but, kept_positions
from core.networks.network import Network

RIDGE = 1e-3
"""Added to the variance of each kept input, as a fraction of their mean variance."""


def reconstruct(
    baseline: Network,
    pruned: Network,
    kept: Mapping[str, Tensor],
    moments: Mapping[str, Moments],
    ridge: float = RIDGE,
) -> Network:
    """Return the pruned network with the weights of all layers that lost inputs adapted.

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
        if (name, dim) not in stays:
            continue
        weight = old[name].detach().movedim(dim, 1).double().contiguous()
        target = new[name].detach().movedim(dim, 1)
        if len(target) < len(weight):
            weight = weight[torch.from_numpy(stays[name, 1 - dim])]
        left = torch.from_numpy(stays[name, dim])
        gone = all_but(left, weight.shape[1])
        slopes, constants = guess(of_inputs, left, gone, ridge)
        taps = weight.reshape(*weight.shape[:2], -1)  # a view of the weight
        lost = taps[:, gone]
        taps[:, left] += torch.einsum("ogt,gk->okt", lost, slopes)
        taps[:, gone] = 0
        if target.shape[1] < weight.shape[1]:
            weight = weight[:, left]
        is_there = target != 0
        adapted[name] = (weight.to(target) * is_there).movedim(1, dim).contiguous()
        bias = name.removesuffix("weight") + "bias"
        if bias in new:
            shift = lost.sum(2) @ constants * is_there.flatten(1).any(1)
            adapted[bias] = (new[bias].detach() + shift.to(new[bias])).contiguous()
    return pruned.with_module(copy_with(pruned.module, adapted))


def guess(moments: Moments, left: Tensor, gone: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Return the slopes (gone, left) and constants (gone,) of the best linear guess, float64."""
    covariance = moments.covariance[left][:, left].double()
    variance = covariance.diagonal().mean().clamp_min(torch.finfo(torch.float64).tiny)
    covariance.diagonal().add_(ridge * variance)
    shared = moments.covariance[left][:, gone].double()
    slopes = torch.cholesky_solve(shared, torch.linalg.cholesky(covariance)).T
    return slopes, moments.mean[gone].double() - slopes @ moments.mean[left].double()
