"""Integer labels beside every tensor: which channel a number belongs to.

Labels of a stored tensor's dimension are positive, one an index. An anchor is a negative label that
holds what is tied to it in place, for a reason. NONE belongs to padding and constants.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from core.networks.groups import Place

NONE = 0


@dataclass(frozen=True, eq=False)
class Tie:
    """Labels that met in one operation, or that one operation keeps together."""

    operation: str  # "add in layer1.0"
    pairs: np.ndarray  # int64 (pairs, 2), sorted, each once
    is_meeting: bool  # of numbers; else a condition that the operation sets
    couples: bool = False  # element by element, as an addition does
    numbers: tuple[float, ...] = ()  # that the operation took beside tensors


@dataclass(eq=False)
class Ledger:
    """All labels of one run and how they were tied."""

    opened: dict[Place, np.ndarray] = field(default_factory=dict)  # int64 (size of the dimension,)
    ties: list[Tie] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)  # of the anchors -1, -2, ...
    split: list[np.ndarray] = field(default_factory=list)  # labels that were split by position

    def __post_init__(self) -> None:
        self._next = 1 + max((int(labels.max()) for labels in self.opened.values()), default=0)

    def open(self, place: Place, size: int) -> Tensor:
        """The labels of a stored tensor's dimension, int64 (size,); new ones at its first use."""
        if place not in self.opened:
            self.opened[place] = np.arange(self._next, self._next + size)
            self._next += size
        return torch.from_numpy(self.opened[place])

    def anchor(self, reason: str, shape: Sequence[int] = ()) -> Tensor:
        """A new label that stays for this reason, expanded to the shape."""
        self.reasons.append(reason)
        return torch.from_numpy(np.array(-len(self.reasons))).expand(shape)

    def tie(
        self,
        first: Tensor,
        second: Tensor,
        operation: str,
        is_meeting: bool = False,
        couples: bool = False,
        numbers: tuple[float, ...] = (),
    ) -> None:
        """Tie labels position by position; NONE is tied to nothing."""
        left, right = (each.numpy().ravel() for each in without_repetition(first, second))
        has_both = (left != NONE) & (right != NONE)
        pairs = _distinct(np.stack([left[has_both], right[has_both]], axis=1))
        self.ties.append(Tie(operation, pairs, is_meeting, couples, numbers))

    def fix(self, labels: Tensor, reason: str, operation: str) -> None:
        """Hold these labels in place."""
        present = without_repetition(labels)[0]
        if present.any():
            self.tie(present, self.anchor(reason, present.shape), operation)

    def note_split(self, labels: Tensor) -> None:
        self.split.append(np.unique(without_repetition(labels)[0].numpy()))


def without_repetition(*labels: Tensor) -> tuple[Tensor, ...]:
    """Broadcast to one shape, then cut to one entry where all of them only repeat it."""
    shape = torch.Size(np.broadcast_shapes(*(each.shape for each in labels)))
    spread = tuple(each.expand(shape) for each in labels)
    for dim in range(spread[0].ndim):
        if all(each.stride(dim) == 0 or each.size(dim) == 1 for each in spread):
            spread = tuple(each.narrow(dim, 0, min(1, each.size(dim))) for each in spread)
    return spread


def varies(labels: Tensor, dim: int) -> bool:
    """Whether the labels along a dimension are not all the same."""
    if labels.size(dim) <= 1 or labels.stride(dim) == 0:
        return False
    few = without_repetition(labels)[0]
    return bool((few != few.narrow(dim, 0, 1)).any())


def varying(labels: Tensor, dims: Iterable[int] | None = None) -> list[int]:
    """Those of the dimensions, all unless told, along which the labels are not all the same."""
    chosen = range(labels.ndim) if dims is None else sorted(dim % labels.ndim for dim in dims)
    return [dim for dim in chosen if varies(labels, dim)]


def one_along(labels: Tensor, dims: Sequence[int]) -> Tensor:
    """One of the labels along these dimensions, which then have the size 1; NONE if all are."""
    for dim in dims:
        if not varies(labels, dim):
            labels = labels.narrow(dim, 0, 1)
    largest, smallest = labels.amax(list(dims), True), labels.amin(list(dims), True)
    return torch.where(largest > NONE, largest, smallest)


def parts_of(labels: Tensor, dim: int, parts: int) -> Tensor:
    """Labels with one dimension split in two: so many parts, and the positions in each."""
    return labels.reshape(*labels.shape[:dim], parts, -1, *labels.shape[dim + 1 :])


def along(labels: Tensor, dim: int, ndim: int) -> Tensor:
    """Labels of one dimension, (size,), as a tensor of `ndim` dimensions that broadcasts."""
    shape = [1] * ndim
    shape[dim] = len(labels)
    return labels.view(shape)


def _distinct(pairs: np.ndarray) -> np.ndarray:
    """The rows of (n, 2), sorted, each once."""
    if len(pairs) < 2:
        return pairs
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    is_new = np.ones(len(pairs), dtype=bool)
    is_new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[is_new]
