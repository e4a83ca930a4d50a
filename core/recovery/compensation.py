"""What is left in a filter makes up for single weights that were zeroed.

Zeroing a weight changes an answer by an error that the weights after it in the filter can cancel in
part, in the best way by least squares over training images. Hassibi, Stork: "Second Order
Derivatives for Network Pruning: Optimal Brain Surgeon", 1993, column by column for all filters at
once as Frantar, Alistarh: "SparseGPT", 2023.
"""

import torch
from torch import Tensor

BLOCK = 64
"""Columns after which all later ones are updated at once."""


def compensated(rows: Tensor, is_left: Tensor, elimination: Tensor) -> Tensor:
    """Zero weights in order, and let the later ones in a row make up for each as well as they can.

    `rows` and `is_left` are (rows, columns); `elimination` as in `Moments`. A row can end up a
    little further from its answers than by zeroing alone, because some of what makes up for a
    weight is zeroed later. To only zero such a row would cost accuracy all the same: it would
    answer too weakly (ResNet-18, 0.9 of the weights: 80.7 instead of 81.4 % of 2,000 images).
    """
    rows = rows.clone()
    for start in range(0, rows.shape[1], BLOCK):
        stop = min(start + BLOCK, rows.shape[1])
        errors = rows.new_empty(len(rows), stop - start)
        for column in range(start, stop):
            error = rows[:, column] * ~is_left[:, column] / elimination[column, column]
            rows[:, column:stop] -= torch.outer(error, elimination[column, column:stop])
            errors[:, column - start] = error
        rows[:, stop:] -= errors @ elimination[start:stop, stop:]
    return rows * is_left
