"""What each operation does to labels; what is not listed here holds its inputs' labels in place."""

import re
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.networks.labels.ledger import NONE, one_along, varying, without_repetition
from core.networks.labels.run import Call, Run, has_labels

Rule = Callable[[Run, Call], None]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


# Element by element


@rule("alias", "clone", "contiguous", "copy", "detach", "fill", "lift_fresh", "zero", "_to_copy")
@rule("hardsigmoid", "hardswish", "hardtanh", "mish", "nan_to_num", "_prelu_kernel")
def elementwise(run: Run, call: Call) -> None:
    """Labels that meet are tied; constants and scalars leave the others as they are."""
    met: Tensor | None = None
    for tensor in call.tensors:
        labels = run.labels(tensor)
        if has_labels(labels):
            met = labels if met is None else _meet(run, call, met, labels)
    if met is not None and call.numbers:  # a forward may take them from the tensor's shape
        run.ledger.tie(met, met, run.at(call.name), is_meeting=True, numbers=call.numbers)
    if call.function._schema.is_mutable:
        _write(run, call, met)
    else:
        _label_all(run, call, met)


def _label_all(run: Run, call: Call, labels: Tensor | None) -> None:
    for result in call.results:
        if labels is not None:
            run.label(result, labels)


def _write(run: Run, call: Call, met: Tensor | None) -> None:
    """An operation in place leaves labels that are there, since what meets them was tied to them.

    Where there are none yet, as in zeros that a forward fills part by part, views share them.
    """
    own = run.labels(call.output)
    if met is None or not (without_repetition(own)[0] == NONE).any():
        return
    is_repeated = any(not own.stride(dim) and own.size(dim) > 1 for dim in range(own.ndim))
    if not is_repeated and met.shape == own.shape:
        own.copy_(torch.where(own == NONE, met, own))
        run.label(call.output, own)
    else:
        operation = run.at(call.name)
        run.ledger.fix(met, f"{operation} writes them into another tensor", operation)


def _meet(run: Run, call: Call, first: Tensor, second: Tensor) -> Tensor:
    """The labels of the result of two tensors, broadcast to one shape."""
    operation = run.at(call.name)
    shape = np.broadcast_shapes(first.shape, second.shape)
    for one, other in ((first, second), (second, first)):
        if _is_spread(one, other):
            run.ledger.fix(one, f"{operation} spreads them over other channels", operation)
            return other.expand(shape)
    run.ledger.tie(first, second, operation, is_meeting=True, couples=True)
    few, others = without_repetition(first, second)
    for one, other in ((few, others), (others, few)):
        beside_padding = one[(other == NONE) & (one != NONE)]
        if len(beside_padding):
            run.ledger.fix(beside_padding, f"{operation} puts padding beside them", operation)
    return torch.where(few == NONE, others, few).expand(shape)


def _is_spread(one: Tensor, other: Tensor) -> bool:
    """Whether one channel of `one` meets many of `other`, as in attention over positions."""
    if varying(one) or not varying(other):
        return False
    first = other.ndim - one.ndim
    sizes = [one.size(dim - first) if dim >= first else 1 for dim in varying(other)]
    is_real = bool((without_repetition(one)[0] > NONE).all())
    return is_real or all(size == 1 for size in sizes)


# What keeps channels apart in space

POOLS = ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "fractional_max_pool")
PADS = ("reflection_pad", "replication_pad")
UPSAMPLINGS = ("nearest", "nearest_exact", "linear", "bilinear", "trilinear", "bicubic")
SPATIAL = (*POOLS, *PADS, *(f"upsample_{kind}" for kind in UPSAMPLINGS))


@rule(
    *(
        f"{prefix}{name}{dims}d{suffix}"
        for name in SPATIAL
        for dims in (1, 2, 3)
        for prefix in ("", "_")
        for suffix in ("", "_with_indices", "_aa")
    )
)
def spatial(run: Run, call: Call) -> None:
    """(..., channels, space) of 1 to 3 dimensions, as the name says."""
    labels = run.labels(call.tensors[0])
    space = int(re.findall(r"([123])d", call.name)[0])
    dims = range(labels.ndim - space, labels.ndim)
    channels = one_along(labels, dims)
    if varying(labels, dims):  # a number of the result depends on several
        run.ledger.tie(labels, channels, run.at(call.name))
    for result in call.results:
        run.label(result, channels)


@rule("mean", "sum", "nansum", "prod", "var", "std", "var_mean", "std_mean", "median", "logsumexp")
@rule("amax", "amin", "aminmax", "max", "min", "argmax", "argmin", "all", "any")
@rule("norm", "linalg_vector_norm")
def reduction(run: Run, call: Call) -> None:
    """Over space a channel keeps its label; over channels they are mixed."""
    labels = run.labels(call.tensors[0])
    dims = _dims(call, labels)
    if varying(labels, dims):
        mixed(run, call)
        return
    for dim in dims:
        labels = labels.narrow(dim, 0, 1)
    keeps_dims = call.output.ndim == labels.ndim
    reduced = labels if keeps_dims else labels.squeeze(dims)
    for result in call.results:
        run.label(result, reduced)


@rule("softmax", "_softmax", "log_softmax", "_log_softmax", "sort", "argsort")
@rule("cumsum", "cumprod", "logcumsumexp")
def along_a_dimension(run: Run, call: Call) -> None:
    """The result has the same shape; along one dimension every number depends on others."""
    labels = run.labels(call.tensors[0])
    if varying(labels, _dims(call, labels)):
        mixed(run, call)
    else:
        _label_all(run, call, labels)


@rule("layer_norm", "rms_norm")
def layer_norm(run: Run, call: Call) -> None:
    labels = run.labels(call.arguments["input"])
    last = range(labels.ndim - len(call.arguments["normalized_shape"]), labels.ndim)
    if varying(labels, last):
        mixed(run, call)
    else:
        run.label(call.output, labels)


def _dims(call: Call, labels: Tensor) -> tuple[int, ...]:
    """The dimensions that an operation names, all where it names none."""
    dim = call.arguments.get("dim")
    if dim is None or dim == []:
        return tuple(range(labels.ndim))
    return tuple(each % labels.ndim for each in ([dim] if isinstance(dim, int) else dim))


@rule("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "new_empty")
@rule("new_zeros", "new_ones", "new_full", "new_empty_strided")
def constant(run: Run, call: Call) -> None:
    """Numbers of its own, of another tensor's kind at most."""


# What is not known


def unknown(run: Run, call: Call) -> None:
    """Hold all inputs in place; a constant comes of constants."""
    if any(has_labels(run.labels(tensor)) for tensor in call.tensors):
        mixed(run, call)


def mixed(run: Run, call: Call, reason: str | None = None) -> None:
    reason = reason or f"{run.at(call.name)} mixes channels"
    for tensor in call.tensors:
        run.ledger.fix(run.labels(tensor), reason, run.at(call.name))
    for result in call.results:
        if not has_labels(run.labels(result)):
            run.label(result, run.ledger.anchor(reason, result.shape))
