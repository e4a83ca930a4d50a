"""What is done to a network after pruning, so that it finds back some of what it knew."""

import copy
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.data import DataSet, normalise, subset_indices
from core.device import DTYPES, best_device, resolve_precision
from core.errors import InputError
from core.model import copy_with

RECOVERIES = ("none", "bn")
CALIBRATION_IMAGES = 2000
CALIBRATION_BATCH = 250  # images; statistics are averaged over batches of about this size


@dataclass(frozen=True)
class Recovery:
    """`none`, or `bn`: batch-norm statistics estimated again from training images."""

    method: str = "none"
    images: int = 0  # training images, drawn by class
    seed: int = 0  # of their draw

    def __post_init__(self) -> None:
        if self.method not in RECOVERIES:
            raise InputError(
                f"There is no recovery {self.method!r}: choose {' or '.join(RECOVERIES)}."
            )
        if self.images < 0 or self.seed < 0:
            raise InputError("A recovery needs a number of images and a seed from 0 on.")
        if self.method == "none":  # what it does not use is the same for all
            object.__setattr__(self, "images", 0)
            object.__setattr__(self, "seed", 0)

    @classmethod
    def named(cls, method: str) -> "Recovery":
        """The usual form of a recovery."""
        return cls(method, CALIBRATION_IMAGES if method == "bn" else 0)

    def to_json(self) -> dict[str, Any]:
        if self.method == "none":
            return {"method": "none"}
        return {"method": self.method, "images": self.images, "seed": self.seed}


@dataclass(frozen=True)
class Recovering:
    """Progress: so many of the training images are done."""

    done: int
    total: int


def recover(
    model: nn.Module,
    recovery: Recovery,
    dataset: DataSet,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Generator[Recovering, None, nn.Module]:
    """Yield progress, return the recovered network; for `none` the model itself."""
    if recovery.method == "none":
        return model
    images = calibration_images(dataset, recovery)
    return (yield from recalibrate(model, images, precision, device))


def recover_fully(
    model: nn.Module, recovery: Recovery, dataset: DataSet, precision: str = "auto"
) -> nn.Module:
    """What `recover` returns."""
    return finished(recover(model, recovery, dataset, precision))


def finished(steps: Generator[Recovering, None, nn.Module]) -> nn.Module:
    """What `recover` or `recalibrate` returns, its progress passed over."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            network: nn.Module = end.value
            return network


def calibration_images(dataset: DataSet, recovery: Recovery) -> Tensor:
    """The training images that the statistics come from, uint8 (images, 3, 32, 32).

    All of them where the data set has fewer.
    """
    size = min(recovery.images, len(dataset.train_labels))
    return dataset.train_images[subset_indices(dataset.train_labels, size, recovery.seed)]


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
