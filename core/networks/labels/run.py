"""The state of one run with labels: what every tensor is, and where the run is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from core.errors import InputError
from core.networks.groups import Place
from core.networks.labels.ledger import Ledger, Tie, along, without_repetition
from core.networks.layers import prunable_layers, stored_tensors, weight_names


@dataclass(frozen=True, eq=False)
class Call:
    """One operation that was run, its arguments by name and its result."""

    function: OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """What was passed, by name; without what was left at its default."""
        names = [argument.name for argument in self.function._schema.arguments]
        return dict(zip(names, self.args, strict=False)) | self.kwargs

    @property
    def name(self) -> str:
        return name_of(self.function)

    @property
    def tensors(self) -> list[Tensor]:
        leaves = tree_leaves((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    @property
    def numbers(self) -> tuple[float, ...]:
        leaves = tree_leaves((self.args, self.kwargs))
        return tuple(leaf for leaf in leaves if type(leaf) in (int, float))

    @property
    def results(self) -> list[Tensor]:
        return [leaf for leaf in tree_leaves(self.result) if isinstance(leaf, Tensor)]

    @property
    def output(self) -> Tensor:
        """The first tensor of the result."""
        return self.results[0]


def name_of(function: OpOverload) -> str:
    """`add` for aten::add.Tensor and for aten::add_.Tensor."""
    return str(function._schema.name.split("::")[1].rstrip("_"))


class Run:
    """What is known while a network runs; `opened` gives the labels of stored tensors in advance.

    `module` is on meta. Its stored tensors are known by identity, so that a tensor with two names
    is one.
    """

    def __init__(self, module: nn.Module, opened: Mapping[Place, np.ndarray] | None = None):
        self.module = module
        self.ledger = Ledger(dict(opened or {}))
        self.is_replay = opened is not None
        self.stack: list[str] = []  # names of the modules that are running
        self.producers: dict[Place, str] = {}  # output channels, by layer, in order of execution
        self.consumers: dict[Place, str] = {}  # input channels
        self.depthwise: dict[Place, str] = {}
        self.positions: Counter[str] = Counter()  # see Structure
        self.reads: Counter[str] = Counter()  # of stored tensors
        self.weights: set[str] = set()  # stored tensors that a layer took as its weight
        self.misread: dict[str, str] = {}  # stored tensors that other operations took, and why
        self.last_call: Call | None = None
        self.last_operation = "the forward of the network"
        self.batch_norms: dict[str, str] = {}  # behind convolutions
        self.uses: Counter[str] = Counter()  # of the outputs of convolutions
        self.made_by: Any = WeakTensorKeyDictionary()  # outputs of convolutions
        self._labels: Any = WeakTensorKeyDictionary()
        self._names = _names(module)
        self._weights = _owners(module)
        self._modules = dict(module.named_modules())

    def labels(self, tensor: Tensor) -> Tensor:
        """The labels of a tensor, of its shape."""
        found: Tensor | None = self._labels.get(tensor)
        if found is None:
            name = self.name(tensor)
            if name is not None:
                return self._labels_of_stored(name, tensor)
            found = self._labels[tensor] = _no_labels(tensor)  # views of it share them
        return found

    def vector_labels(self, vector: Tensor) -> Tensor:
        """The labels of a vector with one number a channel, even if it is a single one."""
        name = self.name(vector)
        if name is None or vector.ndim != 1:
            return self.labels(vector)
        return self.ledger.open((name, 0), len(vector))

    def label(self, tensor: Tensor, labels: Tensor) -> None:
        self._labels[tensor] = labels.expand(tensor.shape)

    def begin(self, call: Call) -> None:
        """Note what an operation takes, before it can fail."""
        self.last_call, self.last_operation = call, self.at(call.name)
        for tensor in call.tensors:
            self.use(tensor)
            if tensor.device.type != "meta" and tensor.ndim:
                raise InputError(
                    f"{self.last_operation} takes a tensor that the network does not store: make "
                    "it a parameter or buffer of the module whose forward takes it."
                )

    def use(self, tensor: Tensor) -> None:
        """Count a use of a stored tensor or of a layer's output."""
        name = self.name(tensor)
        if name is not None:
            self.reads[name] += 1
        if tensor in self.made_by:
            self.uses[self.made_by[tensor]] += 1

    def hold_misread(self) -> None:
        """Hold all dimensions of the weights that operations other than their layer's read."""
        for name, reason in self.misread.items():
            for place, labels in list(self.ledger.opened.items()):
                if place[0] == name:
                    self.ledger.fix(torch.from_numpy(labels), reason, reason)

    def name(self, tensor: Tensor) -> str | None:
        """The name of a stored tensor."""
        return self._names.get(id(tensor))

    def layer_of(self, weight: str) -> str | None:
        """The layer that a weight belongs to: the one that is running, where it is shared."""
        owners = self._weights.get(weight, [])
        return self.running if self.running in owners else next(iter(owners), None)

    @property
    def running(self) -> str:
        """The innermost module that is running, "" for the network itself."""
        return self.stack[-1] if self.stack else ""

    @property
    def running_module(self) -> nn.Module:
        module: nn.Module = self._modules[self.running]
        return module

    @property
    def meetings(self) -> list[Tie]:
        """The ties of numbers that met, in order of execution."""
        return [tie for tie in self.ledger.ties if tie.is_meeting]

    @property
    def last_labels(self) -> np.ndarray:
        """The labels of what the last operation took, int64 (labels,)."""
        tensors = self.last_call.tensors if self.last_call is not None else []
        found = [without_repetition(self.labels(each))[0].flatten() for each in tensors]
        return np.unique(torch.cat(found).numpy()) if found else np.empty(0, np.int64)

    @property
    def computed(self) -> dict[str, str]:
        """The layers whose weight the forward makes of other tensors, and what makes it."""
        weights = weight_names(self.module)
        reasons = dict.fromkeys(
            (layer for layer in prunable_layers(self.module) if layer not in weights),
            "its weight is computed on every run, not stored",
        )
        return reasons | {
            layer: self.misread[weight]
            for layer, weight in weights.items()
            if weight in self.misread and weight not in self.weights
        }

    def sole_batch_norms(self) -> dict[str, str]:
        """The batch-norms that alone take a layer's output, all tensors of both used once."""
        return {
            layer: batch_norm
            for layer, batch_norm in self.batch_norms.items()
            if self.uses[layer] == 1
            and self._is_used_once(layer)
            and self._is_used_once(batch_norm)
        }

    def _is_used_once(self, module: str) -> bool:
        tensors = stored_tensors(self._modules[module]).values()
        return all(self.reads[self._names[id(each)]] == 1 for each in tensors if each.ndim)

    def is_batch_norm(self, name: str) -> bool:
        """Whether a module has running statistics of channels."""
        module = self._modules.get(name)
        return module is not None and "running_var" in module._buffers

    def at(self, name: str) -> str:
        """An operation and where it stands, for a person."""
        return f"{name} in {self.running or 'the forward of the network'}"

    def _labels_of_stored(self, name: str, tensor: Tensor) -> Tensor:
        """Of a vector, whatever its shape; other tensors are not followed number by number."""
        dims = [dim for place, dim in self.ledger.opened if place == name]
        if name not in self._weights and not (self.is_replay and not dims):
            dims = dims or [dim for dim, size in enumerate(tensor.shape) if size > 1]
            if not dims:
                return _no_labels(tensor)
            if len(dims) == 1:
                own = self.ledger.open((name, dims[0]), tensor.shape[dims[0]])
                return along(own, dims[0], tensor.ndim).expand(tensor.shape)
        if name in self._weights or max(tensor.shape, default=1) > 1:
            if name in self._weights:
                reason = f"{self.last_operation} reads {name} outside its layer"
                self.misread.setdefault(name, reason)
            else:
                reason = f"{self.last_operation} takes {name}, which is no vector of channels"
            return self.ledger.anchor(reason, tensor.shape)
        return _no_labels(tensor)


def _no_labels(tensor: Tensor) -> Tensor:
    return torch.zeros(tensor.shape, dtype=torch.int64, device="cpu")


def has_labels(labels: Tensor) -> bool:
    return bool(without_repetition(labels)[0].any())


def _names(module: nn.Module) -> dict[int, str]:
    """The name of every stored tensor, by identity."""
    return {id(tensor): name for name, tensor in stored_tensors(module).items()}


def _owners(module: nn.Module) -> dict[str, list[str]]:
    """The layers that have each weight, by the weight's name."""
    owners: dict[str, list[str]] = {}
    for layer, weight in weight_names(module).items():
        owners.setdefault(weight, []).append(layer)
    return owners
