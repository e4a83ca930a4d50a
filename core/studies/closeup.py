"""One layer before and after pruning, reduced to an amount of data that can be drawn."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.networks.layers import output_dim
from core.pruning import Pruner
from core.specs.pruning import PruningSpec

BINS = 80
MOST_CELLS = 1000
KERNELS_IN_A_ROW = 16


@dataclass(frozen=True, eq=False)
class CloseUp:
    """The weights of one layer of the baseline, and which of them are kept."""

    weights: Tensor  # fp32 (out, in, ...); one input channel in a depthwise layer
    kept: Tensor  # bool, of the same shape

    @classmethod
    def of(cls, pruner: Pruner, spec: PruningSpec, layer: str) -> "CloseUp":
        baseline = pruner.baseline.layers[layer]
        outputs = output_dim(baseline)
        weights = baseline.weight.detach().cpu().movedim(outputs, 0)
        return cls(weights, pruner.kept_weights(spec, layer).cpu().movedim(outputs, 0))

    @property
    def threshold(self) -> float | None:
        """Largest pruned magnitude; None if some kept weight is smaller."""
        if self.kept.all():
            return None
        magnitudes = self.weights.abs()
        largest_gone = float(magnitudes.masked_fill(self.kept, 0).max())
        smallest_kept = float(magnitudes.masked_fill(~self.kept, torch.inf).min())
        return largest_gone if largest_gone <= smallest_kept else None


@dataclass(frozen=True, eq=False)
class Histogram:
    """The number of weights in each bin; the last bin includes its right edge."""

    edges: np.ndarray  # (bins + 1,), ascending, symmetric about 0
    kept: np.ndarray  # int64 (bins,)
    cut: np.ndarray  # int64 (bins,)


def histogram(close_up: CloseUp, bins: int = BINS) -> Histogram:
    """Count a layer's kept and pruned weights by value."""
    weights = close_up.weights.flatten()
    most = max(float(weights.abs().max()), torch.finfo(torch.float32).tiny)
    # Encode bin and kept/pruned in one number, so that one bincount is enough.
    position = ((weights + most) * (bins / (2 * most))).to(torch.int64).clamp_(0, bins - 1)
    counts = torch.bincount(position + bins * close_up.kept.flatten(), minlength=2 * bins).numpy()
    return Histogram(np.linspace(-most, most, bins + 1), counts[bins:], counts[:bins])


@dataclass(frozen=True, eq=False)
class KernelMap:
    """Kernels (out, in) merged into cells; kept channels come first in both directions."""

    row_edges: np.ndarray  # int64 (rows + 1,): output channels of each row, in sorted order
    column_edges: np.ndarray  # int64 (columns + 1,): input channels, likewise
    norms: np.ndarray  # (rows, columns): mean L2 norm of the kernels as pruned
    kept: np.ndarray  # (rows, columns): fraction of the weights that are kept, 0 to 1


def kernel_map(close_up: CloseUp, most_cells: int = MOST_CELLS) -> KernelMap:
    """Map a layer's kept weights, in at most `most_cells` cells.

    Output and input channels without kept weights come last, so that they form one area. No cell
    mixes such channels with others.
    """
    outputs, inputs = close_up.weights.shape[:2]
    kernels = (close_up.weights * close_up.kept).reshape(outputs, inputs, -1)
    norms = kernels.square().sum(2).sqrt()
    kept = close_up.kept.reshape(kernels.shape).float().mean(2)
    rows = _last_where(~kept.any(1))
    columns = _last_where(~kept.any(0))
    row_edges, column_edges = _edges(outputs, inputs, most_cells)
    row_edges = _with_edge_at(int(kept.any(1).sum()), row_edges)
    column_edges = _with_edge_at(int(kept.any(0).sum()), column_edges)
    return KernelMap(
        row_edges,
        column_edges,
        _means(norms[rows][:, columns].numpy(), row_edges, column_edges),
        _means(kept[rows][:, columns].numpy(), row_edges, column_edges),
    )


def _last_where(is_last: Tensor) -> Tensor:
    """Return all positions in order, with those where `is_last` is True moved to the end."""
    return is_last.int().sort(stable=True).indices


def _edges(rows: int, columns: int, most_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Split both directions evenly into as many parts as fit; don't merge a short direction."""
    row_parts = min(rows, max(1, math.isqrt(most_cells)))
    column_parts = min(columns, most_cells // row_parts)
    row_parts = min(rows, most_cells // column_parts)
    return (
        np.linspace(0, rows, row_parts + 1).round().astype(np.int64),
        np.linspace(0, columns, column_parts + 1).round().astype(np.int64),
    )


def _with_edge_at(place: int, edges: np.ndarray) -> np.ndarray:
    """Move the inner edge that is nearest to `place` there; the ends stay."""
    inner = edges[1:-1]
    if not len(inner) or place in (edges[0], edges[-1]):
        return edges
    moved = edges.copy()
    moved[1 + np.abs(inner - place).argmin()] = place
    return moved


def _means(matrix: np.ndarray, row_edges: np.ndarray, column_edges: np.ndarray) -> np.ndarray:
    sums = np.add.reduceat(np.add.reduceat(matrix, row_edges[:-1], 0), column_edges[:-1], 1)
    sizes = np.diff(row_edges)[:, None] * np.diff(column_edges)
    means: np.ndarray = sums / sizes
    return means


def kernel_pictures(close_up: CloseUp, scale: int = 9, gap: int = 4) -> np.ndarray:
    """Draw the kernels of a layer with RGB input as one picture, uint8 (height, width, 4).

    Each row has 16 kernels, with transparent gaps of `gap` pixels; each weight is `scale` pixels
    wide. All kernels share one scale: grey is 0, brighter is larger. Filters without kept weights
    are crossed out. Raises ValueError for a layer without three input channels.
    """
    if close_up.weights.ndim != 4 or close_up.weights.shape[1] != 3:
        raise ValueError("Only a convolution with three input channels has kernels in colour.")
    weights = (close_up.weights * close_up.kept).permute(0, 2, 3, 1).numpy()  # (out, h, w, 3)
    most = max(float(close_up.weights.abs().max()), float(np.finfo(np.float32).tiny))
    colours = (127.5 * (1 + weights / most)).round().astype(np.uint8)
    tiles = colours.repeat(scale, 1).repeat(scale, 2)
    height, width = tiles.shape[1:3]
    crossed_out = _cross(height, width)
    columns = min(KERNELS_IN_A_ROW, len(tiles))
    rows = -(-len(tiles) // columns)
    picture = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    stays = close_up.kept.flatten(1).any(1)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        place = picture[top : top + height, left : left + width]
        place[..., :3] = tile if stays[number] else 127
        place[..., 3] = 255 if stays[number] else crossed_out
    return picture


def _cross(height: int, width: int) -> np.ndarray:
    """Return the opacity of a faint tile with a cross on it, uint8 (height, width)."""
    rows, columns = np.mgrid[0:height, 0:width]
    falling = np.abs(rows * (width - 1) - columns * (height - 1)) < max(height, width)
    opacity: np.ndarray = np.where(falling | falling[:, ::-1], 255, 50).astype(np.uint8)
    return opacity
