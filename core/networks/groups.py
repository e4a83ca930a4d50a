"""Which channels must go together, found by following tensors through the traced network.

Every tensor in the network has a channel space. Layers that keep channels apart (batch-norm,
activations, pooling) pass their input's space on; a convolution or linear layer opens a new one; an
addition makes two spaces one. What cannot be followed is fixed: its channels are never removed.
The idea of dependency groups is from Fang et al., "DepGraph: Towards Any Structural Pruning", 2023.
"""

import operator
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.fx import Graph, Node, Tracer

PASS_MODULES = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.SiLU,
    nn.GELU,
    nn.Hardswish,
    nn.Identity,
    nn.Dropout,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)
PASS_FUNCTIONS: set[Callable[..., Any] | str] = {
    F.relu,
    torch.relu,
    F.silu,
    F.gelu,
    F.dropout,
    F.max_pool2d,
    F.avg_pool2d,
    F.adaptive_avg_pool2d,
    torch.nn.functional.adaptive_max_pool2d,
    "relu",
    "relu_",
    "contiguous",
}
FLATTEN_FUNCTIONS: set[Callable[..., Any] | str] = {torch.flatten, "flatten"}
ADD_FUNCTIONS: set[Callable[..., Any] | str] = {
    operator.add,
    operator.iadd,
    torch.add,
    "add",
    "add_",
}


# torch.fx replaces and restores nn.Module's methods; two traces would restore each other's.
_ONE_TRACE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, eq=False)
class Member:
    """Where a group's channels stand in one dimension of one stored tensor."""

    tensor: str  # as state_dict names it
    dim: int
    positions: np.ndarray  # int64 (size of the group, positions per channel)


@dataclass(frozen=True)
class Group:
    """Channels that are removed together, by the names of the layers that have them."""

    name: str  # its first producer's
    size: int  # channels
    producers: tuple[str, ...]  # layers whose output channels they are
    batch_norms: tuple[str, ...]
    depthwise: tuple[str, ...]  # convolutions with one filter a channel, in and out alike
    consumers: tuple[tuple[str, int], ...]  # layers they enter, and inputs there per channel
    is_residual: bool  # whether an addition couples them
    members: tuple[Member, ...] = field(default=(), compare=False, repr=False)

    def is_in(self, scope: str) -> bool:
        """Whether pruning in this scope, one of SCOPES, may touch it."""
        return scope == "all" or not self.is_residual


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


@dataclass(frozen=True)
class NetworkGraph:
    """What pruning needs to know of a network's structure."""

    groups: tuple[Group, ...]  # prunable ones, in network order
    batch_norm_of: dict[str, str]  # the one that alone takes a convolution's output


def batch_norm_behind(
    model: nn.Module, graph: "Structure", convolution: str
) -> nn.BatchNorm2d | None:
    """The layer that `graph.batch_norm_of` names for a convolution, if it is one over images."""
    name = graph.batch_norm_of.get(convolution)
    layer = model.get_submodule(name) if name is not None else None
    return layer if isinstance(layer, nn.BatchNorm2d) else None


@dataclass(eq=False)
class _Space:
    """A set of channels under construction; `merged_into` makes it a union-find forest."""

    size: int
    fixed: bool = False
    is_residual: bool = False
    producers: list[str] = field(default_factory=list)
    batch_norms: list[str] = field(default_factory=list)
    depthwise: list[str] = field(default_factory=list)
    consumers: list[tuple[str, int]] = field(default_factory=list)
    merged_into: "_Space | None" = None

    def root(self) -> "_Space":
        return self if self.merged_into is None else self.merged_into.root()


def trace(model: nn.Module) -> NetworkGraph:
    """Find the groups of any network that torch.fx can trace; the model is not touched."""
    with _ONE_TRACE_AT_A_TIME:
        graph = _ThreadsOwnTracer().trace(model)
    return _Follower(model, graph).follow()


class _ThreadsOwnTracer(Tracer):
    """Leaves networks alone that run in other threads: tracing replaces every module's call."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def _is_depthwise(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
    )


class _Follower:
    def __init__(self, model: nn.Module, graph: Graph):
        self._modules = dict(model.named_modules())
        self._graph = graph
        self._space_of: dict[Node, _Space] = {}
        self._rows: set[Node] = set()  # tensors of shape (N, C·H·W), a channel's values in a row
        calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
        self._shared = {target for target, number in calls.items() if number > 1}
        self._spaces: list[_Space] = []
        self._batch_norm_of: dict[str, str] = {}

    def follow(self) -> NetworkGraph:
        for node in self._graph.nodes:
            self._visit(node)
            from_rows = not self._rows.isdisjoint(node.all_input_nodes)
            flattens = self._flattened_dimensions(node) == (1, -1)
            if node in self._space_of and (from_rows or flattens):
                self._rows.add(node)
        groups = []
        for space in self._spaces:
            if space.merged_into is None and not space.fixed and space.producers:
                groups.append(
                    Group(
                        name=space.producers[0],
                        size=space.size,
                        producers=tuple(dict.fromkeys(space.producers)),
                        batch_norms=tuple(dict.fromkeys(space.batch_norms)),
                        depthwise=tuple(dict.fromkeys(space.depthwise)),
                        consumers=tuple(dict.fromkeys(space.consumers)),
                        is_residual=space.is_residual,
                    )
                )
        return NetworkGraph(tuple(groups), self._batch_norm_of)

    def _visit(self, node: Node) -> None:
        flattened = self._flattened_dimensions(node)
        if flattened == (1, -1):
            self._space_of[node] = self._input(node)
        elif flattened is not None:
            self._fix_inputs(node)
        elif node.op == "call_module":
            self._visit_module(node, str(node.target), self._modules[str(node.target)])
        elif node.op in ("call_function", "call_method") and node.target in PASS_FUNCTIONS:
            self._space_of[node] = self._input(node)
        elif node.op in ("call_function", "call_method") and node.target in ADD_FUNCTIONS:
            inputs = [self._space_of.get(arg) for arg in node.args if isinstance(arg, Node)]
            merged = [space.root() for space in inputs if space is not None]
            if len(merged) == 2 and merged[0].size == merged[1].size:
                self._space_of[node] = self._merge(*merged)
            else:  # a broadcast or a constant
                self._fix_inputs(node)
        else:  # an input, an output, or an operation that is not known
            self._fix_inputs(node)

    def _visit_module(self, node: Node, name: str, module: nn.Module) -> None:
        if isinstance(module, PASS_MODULES):
            self._space_of[node] = self._input(node)
        elif name in self._shared:  # one layer in several places would couple them all
            self._fix_inputs(node)
        elif _is_depthwise(module):
            space = self._input(node)
            space.depthwise.append(name)
            self._space_of[node] = space
        elif isinstance(module, nn.Conv2d) and module.groups == 1:
            self._consume(node, name, module.in_channels)
            self._space_of[node] = self._open(name, module.out_channels)
        elif isinstance(module, nn.Linear) and node.args[0] in self._rows:
            self._consume(node, name, module.in_features)
            self._space_of[node] = self._open(name, module.out_features)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            space = self._input(node)
            space.fixed |= module.num_features != space.size  # flattened before: several a channel
            space.batch_norms.append(name)
            before = node.args[0]
            if isinstance(before, Node) and before.op == "call_module" and len(before.users) == 1:
                producer = str(before.target)
                if producer not in self._shared:
                    self._batch_norm_of[producer] = name
            self._space_of[node] = space
        else:
            self._fix_inputs(node)

    def _flattened_dimensions(self, node: Node) -> tuple[Any, Any] | None:
        """The first and last dimension that a node makes one; None where it does not flatten."""
        if node.op == "call_module":
            module = self._modules[str(node.target)]
            return (module.start_dim, module.end_dim) if isinstance(module, nn.Flatten) else None
        if node.op in ("call_function", "call_method") and node.target in FLATTEN_FUNCTIONS:
            start = node.args[1] if len(node.args) > 1 else node.kwargs.get("start_dim", 0)
            end = node.args[2] if len(node.args) > 2 else node.kwargs.get("end_dim", -1)
            return start, end
        return None

    def _input(self, node: Node) -> _Space:
        """The space of a node's tensor; a fixed one where it is not known."""
        argument = node.args[0]
        if isinstance(argument, Node) and argument in self._space_of:
            return self._space_of[argument].root()
        return _Space(size=0, fixed=True)

    def _consume(self, node: Node, name: str, inputs: int) -> None:
        space = self._input(node)
        if space.size and inputs % space.size == 0:
            space.consumers.append((name, inputs // space.size))
        else:
            space.fixed = True

    def _open(self, name: str, size: int) -> _Space:
        space = _Space(size=size, producers=[name])
        self._spaces.append(space)
        return space

    def _merge(self, first: _Space, second: _Space) -> _Space:
        if self._spaces.index(second) < self._spaces.index(first):
            first, second = second, first
        first.is_residual = True
        if first is second:
            return first
        first.fixed |= second.fixed
        first.producers += second.producers
        first.batch_norms += second.batch_norms
        first.depthwise += second.depthwise
        first.consumers += second.consumers
        second.merged_into = first
        return first

    def _fix_inputs(self, node: Node) -> None:
        for argument in node.all_input_nodes:
            if argument in self._space_of:
                self._space_of[argument].root().fixed = True
