"""How much of each layer goes, where the layers do not all give up the same part."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from core.pruning.selection import count


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
