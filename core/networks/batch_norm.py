"""Batch-norm: its statistics estimated again, and its folding into convolutions."""

import copy
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.data.dataset import normalise
from core.device import DTYPES, best_device, resolve_precision
from core.networks.groups import trace
from core.networks.layers import copy_with

CALIBRATION_BATCH = 250  # images; statistics are averaged over batches of about this size


@dataclass(frozen=True)
class Recovering:
    """Progress: so many of the training images are done."""

    done: int
    total: int


def finished(steps: Generator[Recovering, None, nn.Module]) -> nn.Module:
    """What `recover` or `recalibrate` returns, its progress passed over."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            network: nn.Module = end.value
            return network


def recalibrate(
    model: nn.Module,
    images: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Generator[Recovering, None, nn.Module]:
    """Estimate every batch-norm's statistics again; yield after each batch, return the new network.

    One pass over uint8 training images (N, 3, 32, 32), all layers at once, no gradients, no weight
    changed: the cumulative average over batches of the mean and the unbiased variance, kept in
    fp32. The model is copied, not touched, and the copy is in eval mode. Pruning shifts what
    batch-norm sees, and statistics that no longer fit cost more accuracy than the weights that are
    gone (Li et al., "EagleEye", 2020).
    """
    device = device or best_device()
    dtype = DTYPES[resolve_precision(precision, device)]
    network = for_calibration(model, device, dtype)
    done = 0
    for batch in calibration_batches(images, device, dtype):
        with torch.inference_mode():
            network(batch)
        done += len(batch)
        yield Recovering(done, len(images))
    return copy_with(model, statistics(network, model)).eval()


def for_calibration(model: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A copy whose batch-norms estimate their statistics from the batches that pass."""
    # Contiguous, since in channels_last order a processor's batch-norm sums less precisely, and in
    # an order that depends on the number of threads.
    network = copy.deepcopy(model).eval()
    network.to(device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(dtype)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a cumulative average
            module.train()
    return network


def calibration_batches(
    images: Tensor, device: torch.device, dtype: torch.dtype
) -> Iterator[Tensor]:
    """The images, uint8 (N, 3, 32, 32), normalised, in batches of about CALIBRATION_BATCH."""
    for batch in images.tensor_split(max(1, round(len(images) / CALIBRATION_BATCH))):
        yield normalise(batch.to(device), dtype).contiguous()


def statistics(calibrated: nn.Module, model: nn.Module) -> dict[str, Tensor]:
    """The means and variances of all batch-norms by name, where those of `model` are."""
    devices = {name: buffer.device for name, buffer in model.named_buffers()}
    return {
        f"{name}.{buffer}": getattr(module, buffer).to(devices[f"{name}.{buffer}"])
        for name, module in calibrated.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for buffer in ("running_mean", "running_var")
    }


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose batch-norms are folded into the convolutions before them."""
    network = copy.deepcopy(model).eval()
    modules = dict(network.named_modules())
    for conv_name, batch_norm_name in trace(network).batch_norm_of.items():
        conv, batch_norm = modules[conv_name], modules[batch_norm_name]
        if isinstance(conv, nn.Conv2d) and isinstance(batch_norm, nn.BatchNorm2d):
            network.set_submodule(conv_name, fuse_conv_bn_eval(conv, batch_norm))
            network.set_submodule(batch_norm_name, nn.Identity())
    return network
