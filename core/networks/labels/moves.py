"""Operations that move numbers: they are run on the labels as on the numbers."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from core.networks.labels.ledger import one_along, parts_of, varies, varying, without_repetition
from core.networks.labels.operations import rule, unknown
from core.networks.labels.run import Call, Run


@rule("roll", "flip", "repeat", "stack")
def move(run: Run, call: Call) -> None:
    """Anything that puts each number elsewhere, without regard to sizes."""
    moved = _on_labels(run, call)
    for result, labels in zip(call.results, moved, strict=True):
        run.label(result, labels)


def _on_labels(run: Run, call: Call) -> list[Tensor]:
    """The operation's results for labels in place of numbers."""
    args, kwargs = tree_map_only(Tensor, run.labels, (call.args, call.kwargs))
    moved = call.function(*args, **kwargs)
    return [moved] if isinstance(moved, Tensor) else list(moved)


@rule("as_strided", "view_as_real", "view_as_complex", "_conj", "_neg_view", "real", "imag")
def unfollowed_view(run: Run, call: Call) -> None:
    unknown(run, call)


@rule("cat")
def cat(run: Run, call: Call) -> None:
    labels = [run.labels(each) for each in call.arguments["tensors"] if each.numel()]
    dim = call.arguments.get("dim", 0) % call.output.ndim
    for other in (each for each in range(call.output.ndim) if each != dim):
        if all(each.stride(other) == 0 or each.size(other) == 1 for each in labels):
            labels = [each.narrow(other, 0, 1) for each in labels]
    run.label(call.output, torch.cat(labels, dim))


@rule("constant_pad_nd")
def constant_pad(run: Run, call: Call) -> None:
    """Channels of padding have no label; along space a channel keeps its own."""
    labels = run.labels(call.arguments["self"])
    pairs = _pairs(call.arguments["pad"])  # of the last dimension first
    for dim, (before, after) in zip(range(labels.ndim - 1, -1, -1), pairs, strict=False):
        if not varies(labels, dim):
            labels = _repeated(labels, dim, call.output.size(dim))
        elif min(before, after) < 0:
            unknown(run, call)
            return
        else:
            none = torch.zeros_like(labels)
            parts = [_repeated(none, dim, before), labels, _repeated(none, dim, after)]
            labels = torch.cat(parts, dim)
    run.label(call.output, labels)


def _pairs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(numbers[::2], numbers[1::2], strict=True)


def _repeated(labels: Tensor, dim: int, size: int) -> Tensor:
    """The first entry of a dimension, `size` times."""
    return labels.narrow(dim, 0, 1).expand(*labels.shape[:dim], size, *labels.shape[dim + 1 :])


@rule("squeeze")
def squeeze(run: Run, call: Call) -> None:
    """What has one channel left loses the dimension, so a narrower network is checked."""
    labels = run.labels(call.arguments["self"])
    if call.arguments.get("dim") is None or call.output.ndim == labels.ndim:
        _note_if_labelled(run, labels)
    move(run, call)


# Splits by position: a forward computes the boundaries anew from the narrower tensor.


@rule("view", "_unsafe_view", "reshape", "unflatten", "flatten", "_reshape_alias")
def reshape(run: Run, call: Call) -> None:
    """Position j of every part is tied to those of the other parts."""
    before = run.labels(call.tensors[0])
    labels = before.reshape(call.output.shape)
    for block in _blocks(before.shape, labels.shape):
        dims = varying(labels, block)
        if dims and sum(labels.size(dim) > 1 for dim in block) > 1:
            run.ledger.note_split(labels)
        for dim in dims[:-1]:
            run.ledger.tie(labels, labels.narrow(dim, 0, 1), run.at(call.name))
    run.label(call.output, labels)


def _blocks(before: Sequence[int], after: Sequence[int]) -> Iterator[range]:
    """Runs of dimensions of `after` that hold the numbers of the same dimensions of `before`."""
    sizes = iter(before)
    dim = 0
    while dim < len(after):
        start, left, right = dim, next(sizes, 1), after[dim]
        dim += 1
        while left != right:
            if left < right:
                left *= next(sizes)
            else:
                right *= after[dim]
                dim += 1
        yield range(start, dim)


@rule("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "unbind")
def split(run: Run, call: Call) -> None:
    x = call.tensors[0]
    dim = call.arguments.get("dim", 0) % x.ndim
    labels = run.labels(x)
    parts = len(call.results)
    if parts > 1 and varies(labels, dim):
        run.ledger.note_split(labels)
        sizes = {each.size(dim) for each in call.results} if call.name != "unbind" else {1}
        _tie_parts(run, call, labels, dim, parts if len(sizes) == 1 else 0)
    move(run, call)


@rule("slice", "select", "narrow")
def part(run: Run, call: Call) -> None:
    """Where a slice is one of equal parts, the others are taken to be used alike."""
    x = call.tensors[0]
    dim, labels = call.arguments.get("dim", 0) % x.ndim, run.labels(x)
    size = 1 if call.name == "select" else call.output.size(dim)
    if size < x.size(dim) and varies(labels, dim):
        run.ledger.note_split(labels)
        start = call.arguments.get("start") or 0
        is_one_of_equals = (
            size > 0
            and x.size(dim) % size == 0
            and start % size == 0
            and call.arguments.get("step", 1) == 1
        )
        _tie_parts(run, call, labels, dim, x.size(dim) // size if is_one_of_equals else 0)
    move(run, call)


def _tie_parts(run: Run, call: Call, labels: Tensor, dim: int, parts: int) -> None:
    """Tie position j of every part; 0 parts are not equal ones, and all labels stay."""
    is_one_by_one = parts == labels.size(dim)
    if not parts or (is_one_by_one and varying(labels) == [dim]):
        operation = run.at(call.name)
        run.ledger.fix(labels, f"{operation} splits them at fixed places", operation)
        return
    by_part = parts_of(labels, dim, parts)
    run.ledger.tie(by_part, by_part.narrow(dim, 0, 1), run.at(call.name))


@rule("glu")
def glu(run: Run, call: Call) -> None:
    x = call.arguments["self"]
    dim, labels = call.arguments.get("dim", -1) % x.ndim, run.labels(x)
    if varies(labels, dim):
        run.ledger.note_split(labels)
        _tie_parts(run, call, labels, dim, 2)
    run.label(call.output, labels.narrow(dim, 0, labels.size(dim) // 2))


@rule("pixel_shuffle")
def pixel_shuffle(run: Run, call: Call) -> None:
    """The r² channels that become one go together."""
    (labels,) = _on_labels(run, call)
    run.ledger.tie(labels, one_along(labels, (-2, -1)), run.at(call.name))
    run.label(call.output, labels)


@rule("pixel_unshuffle")
def pixel_unshuffle(run: Run, call: Call) -> None:
    move(run, call)


@rule("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(run: Run, call: Call) -> None:
    labels = run.labels(call.arguments["self"])
    run.ledger.note_split(labels)
    _tie_parts(run, call, labels, labels.ndim - 3, call.arguments["groups"])
    move(run, call)


def _note_if_labelled(run: Run, labels: Tensor) -> None:
    if varying(labels):
        run.ledger.note_split(without_repetition(labels)[0])
