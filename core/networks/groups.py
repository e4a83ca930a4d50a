"""What is known of a network's structure: which channels go together, and which stay and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Place = tuple[str, int]  # a stored tensor's name and one of its dimensions


@dataclass(frozen=True, eq=False)
class Member:
    """Where a group's channels stand in one dimension of one stored tensor."""

    tensor: str  # as state_dict names it
    dim: int
    positions: np.ndarray  # int64 (size of the group, positions per channel)


@dataclass(frozen=True)
class Group:
    """Channels that are removed together, by the names of the layers that have them."""

    name: str  # its first producer's; where a layer has several groups, with #2, #3 ... behind it
    size: int  # channels
    producers: tuple[str, ...]  # layers whose output channels they are, in order of execution
    batch_norms: tuple[str, ...]
    depthwise: tuple[str, ...]  # convolutions with one input channel a group
    consumers: tuple[tuple[str, int], ...]  # layers they enter, and inputs there per channel
    is_residual: bool  # whether an element-wise operation of two tensors couples them
    members: tuple[Member, ...] = field(default=(), compare=False, repr=False)

    def is_in(self, scope: str) -> bool:
        """Whether pruning in this scope, one of SCOPES, may touch it."""
        return scope == "all" or not self.is_residual

    def positions_in(self, tensor: str, dim: int) -> np.ndarray:
        """Where its channels stand, int64 (size, positions per channel). Raises KeyError."""
        places = {(member.tensor, member.dim): member.positions for member in self.members}
        return places[tensor, dim]


@dataclass(frozen=True)
class Structure:
    """What pruning, cost and folding need to know of a network."""

    groups: tuple[Group, ...]  # prunable ones, in order of their first producer's execution
    layers: tuple[str, ...]  # all convolutions and linear layers, in order of registration
    batch_norm_of: Mapping[str, str]  # the batch-norm that alone takes a convolution's output
    positions: Mapping[str, int]  # MACs of one example per element of the layer's weight
    fixed: Mapping[str, str]  # a layer, and the sentence why it keeps output channels
    computed: Mapping[str, str]  # a layer whose weight is not stored, and the sentence that says so
    is_sure: bool  # no operation split channels by position, so narrowing needs no check
    input_shape: tuple[int, ...]  # of the example, (1, ...)
