"""A network split into consecutive segments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Segment:
    """A part of a network whose only input is the output of the previous segment."""

    modules: tuple[str, ...]  # the names of the modules in it
    run: Callable[[Tensor], Tensor]

    def owns(self, tensor: str) -> bool:
        """Return whether the parameter or buffer with this name belongs to the segment."""
        return any(tensor.startswith(f"{module}.") for module in self.modules)


def whole(network: nn.Module) -> tuple[Segment, ...]:
    """Return the whole network as one segment, for architectures without defined segments."""
    return (Segment(tuple(name for name, _ in network.named_children()), network),)


def run_segments(segments: Sequence[Segment], batch: Tensor) -> Tensor:
    """Run consecutive segments on a batch, without gradients."""
    with torch.inference_mode():
        for segment in segments:
            batch = segment.run(batch)
    return batch
