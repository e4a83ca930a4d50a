"""A network cut into parts that run one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Segment:
    """A part of a network that takes the output of the one before it, and nothing else."""

    modules: tuple[str, ...]  # the names of the modules in it
    run: Callable[[Tensor], Tensor]

    def owns(self, tensor: str) -> bool:
        """Whether a parameter or buffer of that name belongs to it."""
        return any(tensor.startswith(f"{module}.") for module in self.modules)


def whole(network: nn.Module) -> tuple[Segment, ...]:
    """All of a network as one segment, where nothing is known of its parts."""
    return (Segment(tuple(name for name, _ in network.named_children()), network),)


def run_segments(segments: Sequence[Segment], batch: Tensor) -> Tensor:
    """Send a batch through segments, without gradients."""
    with torch.inference_mode():
        for segment in segments:
            batch = segment.run(batch)
    return batch
