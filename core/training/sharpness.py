"""Sharpness-aware minimisation (SAM): the step follows the gradient at a worse point nearby.

Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", 2021. It
takes two passes a step; the last epochs alone gain most of what all of them do (Zhou et al.,
"Sharpness-Aware Minimization Efficiently Selects Flatter Minima Late in Training", 2025).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def at_sharpest_point(model: nn.Module, radius: float) -> Iterator[None]:
    """Within it, parameters stand `radius` (an L2 norm) up their joint gradient.

    Batch-norm normalises within as ever, but records nothing. Afterwards the parameters are what
    they were, bit for bit, and their gradients are those of the pass within.
    """
    climbing = [(each, each.grad) for each in model.parameters() if each.grad is not None]
    before = [parameter.detach().clone() for parameter, _ in climbing]
    length = torch.stack([gradient.norm() for _, gradient in climbing]).norm()
    scale = radius / (length + 1e-12)  # at a stationary point there is no way up
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
