"""What storages weigh, by files read back and by direct formulas."""

import io

import numpy as np
import pytest
import scipy.sparse
import torch
from safetensors.torch import load as deserialise

from core.measuring.sizes import STORAGES, with_bitmaps, with_int8, with_rows
from core.networks.checkpoint import to_bytes
from core.networks.layers import weight_names
from core.networks.network import Network
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from tests.small_networks import random_network

HEADER = 20_000  # bytes; names and shapes


@pytest.fixture(scope="module")
def sparse() -> Network:
    return Pruner(random_network()).prune(PruningSpec("fine", 0.9)).network


@pytest.fixture(scope="module")
def dense_file(sparse: Network) -> dict[str, torch.Tensor]:
    return deserialise(to_bytes(sparse.module))


def test_bitmaps_hold_every_weight(sparse: Network, dense_file: dict[str, torch.Tensor]) -> None:
    content = deserialise(with_bitmaps(sparse.module))
    for name in weight_names(sparse.module).values():
        expected = dense_file.pop(name)
        bits = np.unpackbits(content[f"{name}.bitmap"].numpy())[: expected.numel()]
        entries = np.zeros(expected.numel(), np.float16)
        entries[bits.astype(bool)] = content[f"{name}.values"].numpy()
        assert np.array_equal(entries.reshape(expected.shape), expected.numpy())
        dense_file[name] = expected
    others = dense_file.keys() - set(weight_names(sparse.module).values())
    for name in others:
        assert torch.equal(content[name], dense_file[name])


def test_rows_are_those_of_scipy(sparse: Network, dense_file: dict[str, torch.Tensor]) -> None:
    content = deserialise(with_rows(sparse.module))
    for name in weight_names(sparse.module).values():
        rows = dense_file[name].flatten(1).float().numpy()
        expected = scipy.sparse.csr_matrix(rows)
        kind = np.uint8 if rows.shape[1] <= 256 else np.uint16
        columns = content[f"{name}.columns"].numpy().view(kind)
        assert np.array_equal(content[f"{name}.offsets"].numpy(), expected.indptr)
        assert np.array_equal(columns, expected.indices)
        assert np.array_equal(content[f"{name}.values"].float().numpy(), expected.data)


def test_int8_is_within_half_a_step(sparse: Network, dense_file: dict[str, torch.Tensor]) -> None:
    content = deserialise(with_int8(sparse.module))
    for name in weight_names(sparse.module).values():
        rows = dense_file[name].float().flatten(1)
        scale = content[f"{name}.scale"].float()
        found = content[f"{name}.int8"].float() * scale
        assert content[f"{name}.int8"].dtype == torch.int8
        assert ((found - rows).abs() <= 0.51 * scale + 1e-6).all()


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.95])
def test_the_sizes_are_those_that_the_counts_say(ratio: float) -> None:
    network = Pruner(random_network()).prune(PruningSpec("fine", ratio)).network
    weights = [network.layers[name].weight for name in network.layers]
    entries = sum(weight.numel() for weight in weights)
    left = sum(int(weight.half().count_nonzero()) for weight in weights)
    dense = STORAGES["dense"].weigh(network.module)
    others = dense - 2 * entries  # the rest, and a header
    bitmap = STORAGES["bitmap"].weigh(network.module)
    assert abs(bitmap - (others + entries / 8 + 2 * left)) < HEADER
    assert abs(STORAGES["int8"].weigh(network.module) - (others + entries)) < HEADER
    assert STORAGES["compressed"].weigh(network.module) <= dense
    assert dense == len(to_bytes(network.module))


def test_what_is_written_is_a_file_that_torch_can_read(sparse: Network) -> None:
    # Independently of safetensors' own reader: eight bytes of length, JSON, then the tensors.
    content = io.BytesIO(with_bitmaps(sparse.module))
    length = int.from_bytes(content.read(8), "little")
    assert content.read(length).rstrip().endswith(b"}")
