"""A network split into consecutive segments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Step = str | Callable[[Tensor], Tensor]
"""The name of a submodule, or a function that stands between two of them in the forward."""


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


def chain(network: nn.Module, *parts: Sequence[Step]) -> tuple[Segment, ...]:
    """Return one segment for each part, which runs its steps one after the other."""

    def segment(part: Sequence[Step]) -> Segment:
        steps = [network.get_submodule(step) if isinstance(step, str) else step for step in part]

        def run(x: Tensor) -> Tensor:
            for step in steps:
                x = step(x)
            return x

        return Segment(tuple(step for step in part if isinstance(step, str)), run)

    return tuple(segment(part) for part in parts)


def children_of(network: nn.Module, *names: str) -> list[tuple[str, ...]]:
    """Return a part of one step for every child of these submodules, in order."""
    return [
        (f"{name}.{child}",)
        for name in names
        for child, _ in network.get_submodule(name).named_children()
    ]


def flatten(x: Tensor) -> Tensor:
    """Flatten (N, C, H, W) to (N, C·H·W)."""
    return x.flatten(1)


def run_segments(segments: Sequence[Segment], batch: Tensor) -> Tensor:
    """Run consecutive segments on a batch, without gradients."""
    with torch.inference_mode():
        for segment in segments:
            batch = segment.run(batch)
    return batch
