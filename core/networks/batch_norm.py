"""Batch-norm: recalibrating its statistics, and folding it into convolutions."""

import copy
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.data.normalisation import Normalisation
from core.device import DTYPES, best_device, resolve_precision
from core.networks.layers import copy_with
from core.networks.network import Network

Made = TypeVar("Made")

CALIBRATION_BATCH = 250  # images; statistics are averaged over batches of about this size


@dataclass(frozen=True)
class Recovering:
    """The progress of a recovery, in training images."""

    done: int
    total: int


def finished(steps: Generator[object, None, Made]) -> Made:
    """Run a recovery or the like to its end, ignoring progress, and return what it makes."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: Made = end.value
            return made


def recalibrate(
    network: Network,
    images: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Generator[Recovering, None, Network]:
    """Re-estimate all batch-norm statistics; yield after each batch, return the new network.

    One pass over uint8 training images (N, 3, H, W) updates all layers at once, without gradients:
    the cumulative average over batches of the mean and the unbiased variance, in fp32. The input
    network is not modified. Pruning shifts the inputs of batch-norm, and the stale statistics cost
    more accuracy than the missing weights (Li et al., "EagleEye", 2020).
    """
    device = device or best_device()
    dtype = DTYPES[resolve_precision(precision, device)]
    estimating = for_calibration(network.module, device, dtype)
    done = 0
    for batch in calibration_batches(images, network.normalisation, device, dtype):
        with torch.inference_mode():
            estimating(batch)
        done += len(batch)
        yield Recovering(done, len(images))
    estimated = statistics(estimating, network.module)
    return network.with_module(copy_with(network.module, estimated).eval())


def for_calibration(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return a copy whose batch-norms estimate their statistics from the batches they process."""
    # Use contiguous order: in channels_last order, batch-norm on a CPU sums less precisely, and in
    # an order that depends on the number of threads.
    copied = copy.deepcopy(module).eval()
    copied.to(device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for layer in copied.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.to(dtype)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # a cumulative average
            layer.train()
    return copied


def calibration_batches(
    images: Tensor, normalisation: Normalisation, device: torch.device, dtype: torch.dtype
) -> Iterator[Tensor]:
    """Yield uint8 images (N, 3, H, W), normalised, in batches of about CALIBRATION_BATCH."""
    for batch in images.tensor_split(max(1, round(len(images) / CALIBRATION_BATCH))):
        yield normalisation.apply(batch.to(device), dtype).contiguous()


def statistics(calibrated: nn.Module, module: nn.Module) -> dict[str, Tensor]:
    """Return running means and variances by name, on the devices of the buffers of `module`."""
    devices = {name: buffer.device for name, buffer in module.named_buffers()}
    return {
        f"{name}.{buffer}": getattr(layer, buffer).to(devices[f"{name}.{buffer}"])
        for name, layer in calibrated.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for buffer in ("running_mean", "running_var")
    }


def fold_batch_norms(network: Network) -> nn.Module:
    """Return a copy of the module with batch-norms folded into the convolutions before them."""
    folded = copy.deepcopy(network.module).eval()
    modules = dict(folded.named_modules())
    for conv_name, batch_norm_name in network.structure.batch_norm_of.items():
        conv, batch_norm = modules[conv_name], modules[batch_norm_name]
        if _computes_as(conv, nn.Conv2d) and _computes_as(batch_norm, nn.BatchNorm2d):
            if batch_norm.running_mean is None:  # uses the statistics of each batch
                continue
            folded.set_submodule(conv_name, fuse_conv_bn_eval(conv, batch_norm))
            folded.set_submodule(batch_norm_name, nn.Identity())
    return folded


def _computes_as(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a module is of `kind` and its forward is not overridden."""
    return (
        isinstance(module, kind)
        and type(module).forward is kind.forward
        and "forward" not in vars(module)
    )
