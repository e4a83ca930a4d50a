"""How much of each layer goes, where the layers do not all give up the same part."""

import math
from collections.abc import Hashable, Mapping

import numpy as np
import torch
from torch import Tensor

from core.pruning.selection import count, lowest_indices
from core.specs.pruning import PruningSpec


def counts_below_one_threshold(
    scores: Mapping[str, Tensor], spec: PruningSpec, is_comparable: bool
) -> dict[str, int]:
    """Return how many channels of each group go if all compete, by their scores, (channels,).

    Where scores of different groups cannot be compared as they are, each group's are divided by
    their mean first. Each loses at least the floor and at most the ceiling; the best channel of
    each stays.
    """
    if not scores:
        return {}
    sizes = {name: len(group) for name, group in scores.items()}
    limits = {name: bounds(spec, size, size - 1) for name, size in sizes.items()}
    bounded = []
    for name, group in scores.items():
        scale = 1 if is_comparable else group.mean().clamp_min(torch.finfo(group.dtype).tiny)
        bounded.append(with_bounds(group / scale, *limits[name]))
    number = min(count(spec.ratio, sum(sizes.values())), sum(most for _, most in limits.values()))
    removed = torch.zeros(sum(sizes.values()), dtype=torch.bool)
    removed[lowest_indices(torch.cat(bounded), number)] = True
    parts = torch.split(removed, list(sizes.values()))
    return {name: int(part.sum()) for name, part in zip(scores, parts, strict=True)}


def bounds(spec: PruningSpec, size: int, removable: int) -> tuple[int, int]:
    """Return how many of `size` go at least, by the floor, and at most, by the ceiling.

    More than `removable` never go.
    """
    most = min(count(spec.ceiling, size), removable)
    return min(count(spec.floor * spec.ratio, size), most), most


def with_bounds(scores: Tensor, least: int, most: int) -> Tensor:
    """Return scores (n,) of which the `least` lowest go first, and all but `most` of them last."""
    ascending = scores.sort(stable=True).indices
    bounded = scores.clone()
    bounded[ascending[:least]] = -torch.inf
    bounded[ascending[most:]] = torch.inf
    return bounded


def counts_among_equals(
    scores: Mapping[str, Tensor], shapes: Mapping[str, Hashable], spec: PruningSpec
) -> dict[str, int]:
    """Return how many channels of each group go if those of groups of one shape compete.

    Fang, Ma, Mi, Wang: "Isomorphic Pruning for Vision Models", 2024.
    """
    classes: dict[Hashable, dict[str, Tensor]] = {}
    for name, group in scores.items():
        classes.setdefault(shapes[name], {})[name] = group
    counts: dict[str, int] = {}
    for equals in classes.values():
        counts |= counts_below_one_threshold(equals, spec, is_comparable=True)
    return counts


def rounded(gone: int, size: int, multiple: int) -> int:
    """Return how many of `size` channels go if a multiple stays: the nearest, and one at least."""
    if not gone:
        return 0
    left = max(1, (size - gone + multiple // 2) // multiple) * multiple
    return max(0, size - left)


def lamp_scores(magnitudes: Tensor) -> Tensor:
    """Scores of one layer's weights, (n,), that can be compared with those of other layers.

    A weight's square, divided by the sum of the squares of all weights of its layer that are at
    least as large (of equals, those that come later). So the largest weight of each layer scores 1.
    Lee, Park, Mo, Ahn, Shin: "Layer-adaptive Sparsity for the Magnitude-based Pruning", 2021.
    """
    ascending = magnitudes.sort(stable=True)
    squares = ascending.values.double().square()
    still_there = squares.flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(magnitudes)
    tiny = torch.finfo(torch.float64).tiny  # a layer of zeros scores 0
    scores[ascending.indices] = (squares / still_there.clamp_min(tiny)).to(scores.dtype)
    return scores


def erdos_renyi_kernel_counts(
    shapes: Mapping[str, tuple[int, ...]], ratio: float
) -> dict[str, int]:
    """How many weights of each layer go: round(ratio * n) of all n together.

    A layer of shape (out, in, height, width) keeps a part of its weights in proportion to
    (out + in + height + width) / (out * in * height * width), a linear layer likewise, so large
    layers become sparser; one that would keep more than it has stays whole. Mocanu et al.,
    "Scalable Training of Artificial Neural Networks with Adaptive Sparse Connectivity", 2018; for
    kernels Evci, Gale, Menick, Castro, Elsen, "Rigging the Lottery", 2020.
    """
    if not shapes:
        return {}
    sizes = np.array([math.prod(shape) for shape in shapes.values()])
    wanted = int(sizes.sum()) - count(ratio, int(sizes.sum()))
    kept = _share(wanted, np.array([sum(shape) for shape in shapes.values()]), sizes)
    return {name: int(size - left) for name, size, left in zip(shapes, sizes, kept, strict=True)}


def _share(total: int, weights: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Share out `total` in proportion to `weights`, none above its limit, in whole numbers.

    What rounding down leaves goes to the largest remainders, of equals to the first.
    """
    is_full = np.zeros(len(limits), dtype=bool)
    while True:
        rest = total - int(limits[is_full].sum())
        shares = np.where(is_full, limits, rest * weights / max(1, weights[~is_full].sum()))
        above = ~is_full & (shares > limits)
        if not above.any():
            break
        is_full |= above
    whole = np.floor(shares).astype(np.int64)
    room = np.argsort(-(shares - whole) + (whole >= limits), kind="stable")
    whole[room[: total - int(whole.sum())]] += 1
    return whole
