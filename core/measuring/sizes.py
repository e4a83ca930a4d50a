"""The size of a network in different storages: each is written, and weighed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save as serialise
from torch import Tensor, nn

from core.measuring.cost import compressed_bytes
from core.networks.checkpoint import stored_tensors, to_bytes
from core.networks.layers import output_dim, prunable_layers, weight_names

LARGEST_INT8 = 127


@dataclass(frozen=True)
class Storage:
    """A way to store a network, and what it weighs."""

    label: str
    sentence: str
    weigh: Callable[[nn.Module], int]  # returns bytes


def with_bitmaps(module: nn.Module) -> bytes:
    """Return a file in which each weight is a bitmap of its non-zero entries, and their values.

    One bit for each entry, two bytes for each that is not zero.
    """
    return _with_weights(module, _as_bitmap)


def with_rows(module: nn.Module) -> bytes:
    """Return a file in which each weight is in compressed sparse rows (CSR).

    Values in fp16, columns in as few bytes as their number needs, offsets of rows in four.
    """
    return _with_weights(module, _as_rows)


def with_int8(module: nn.Module) -> bytes:
    """Return a file in which each weight is int8, with one scale for each output channel.

    Weights only, rounded to the nearest of 255 steps; its accuracy is another network's.
    """
    layers = {name: each for each, name in weight_names(module).items()}
    found = prunable_layers(module)

    def quantised(name: str, weight: Tensor) -> dict[str, Tensor]:
        rows = weight.float().movedim(output_dim(found[layers[name]]), 0).flatten(1)
        scale = (rows.abs().amax(1, keepdim=True) / LARGEST_INT8).half()
        steps = (rows / scale.float().clamp_min(1e-12)).round()
        steps = steps.clamp(-LARGEST_INT8, LARGEST_INT8).to(torch.int8)
        return {f"{name}.int8": steps, f"{name}.scale": scale}

    return _with_weights(module, quantised)


STORAGES: Mapping[str, Storage] = {
    "dense": Storage(
        "dense",
        "The checkpoint: every weight in two bytes, also a zero.",
        lambda module: len(to_bytes(module)),
    ),
    "compressed": Storage("dense, zlib", "The same file, compressed.", compressed_bytes),
    "bitmap": Storage(
        "bitmap + values",
        "A bit for each weight, and two bytes for each that is not zero.",
        lambda module: len(with_bitmaps(module)),
    ),
    "csr": Storage(
        "sparse rows (CSR)",
        "The column and two bytes for each weight that is not zero, as sparse kernels read it.",
        lambda module: len(with_rows(module)),
    ),
    "int8": Storage(
        "int8, dense",
        "Every weight in one byte. It gives other answers, which are not measured here.",
        lambda module: len(with_int8(module)),
    ),
}


def _with_weights(
    module: nn.Module, stored_as: Callable[[str, Tensor], dict[str, Tensor]]
) -> bytes:
    """Return a file in which the weights of layers are replaced by other tensors."""
    weights = set(weight_names(module).values())
    content: dict[str, Tensor] = {}
    for name, tensor in stored_tensors(module).items():
        content |= stored_as(name, tensor) if name in weights else {name: tensor}
    return serialise(content)


def _as_bitmap(name: str, weight: Tensor) -> dict[str, Tensor]:
    entries = weight.flatten()
    is_set = (entries != 0).numpy()
    return {
        f"{name}.bitmap": torch.from_numpy(np.packbits(is_set)),
        f"{name}.values": entries[torch.from_numpy(is_set)],
    }


def _as_rows(name: str, weight: Tensor) -> dict[str, Tensor]:
    rows = weight.flatten(1).numpy()
    row, column = np.nonzero(rows)
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(np.bincount(row, minlength=len(rows)), out=offsets[1:])
    columns = column.astype(np.min_scalar_type(max(rows.shape[1] - 1, 0)))
    return {
        f"{name}.offsets": torch.from_numpy(offsets),
        f"{name}.columns": torch.from_numpy(columns.view(np.uint8)),
        f"{name}.values": torch.from_numpy(rows[row, column]),
    }
