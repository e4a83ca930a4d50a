"""Sharpness-aware minimisation (SAM): each step uses the gradient at a nearby, worse point.

Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", 2021. Each
step takes two passes. Using it only in the last epochs gives most of the gain (Zhou et al.,
"Sharpness-Aware Minimization Efficiently Selects Flatter Minima Late in Training", 2025).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def at_sharpest_point(model: nn.Module, radius: float) -> Iterator[None]:
    """Within the block, move the parameters by `radius` (an L2 norm) along their joint gradient.

    Batch-norm works as usual within the block, but does not update its running statistics.
    Afterwards the parameters have their old values, bit for bit, and the gradients computed within
    the block.
    """
    climbing = [(each, each.grad) for each in model.parameters() if each.grad is not None]
    before = [parameter.detach().clone() for parameter, _ in climbing]
    length = torch.stack([gradient.norm() for _, gradient in climbing]).norm()
    scale = radius / (length + 1e-12)  # avoid a division by zero at a stationary point
    with torch.no_grad():
        for parameter, gradient in climbing:
            parameter.add_(gradient * scale)
            parameter.grad = None
    try:
        with _running_stats_frozen(model):
            yield
    finally:
        with torch.no_grad():
            for (parameter, _), value in zip(climbing, before, strict=True):
                parameter.copy_(value)


@contextmanager
def _running_stats_frozen(model: nn.Module) -> Iterator[None]:
    norms = [
        module
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
