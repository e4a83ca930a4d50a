"""Sparse rows compute what dense layers do."""

import pytest
import torch
from torch import nn

from core.export.sparse_rows import SparseRowsConv, SparseRowsLinear, with_sparse_rows
from core.networks.inference import for_inference
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from tests.small_networks import random_network

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(5, 7, 1),
        nn.Conv2d(5, 7, 1, stride=2, bias=False),
        nn.Conv2d(5, 7, 3, padding=1),
        nn.Conv2d(5, 7, (3, 2), stride=(2, 1), padding=(0, 1), dilation=(2, 1)),
        nn.Linear(9, 4),
    ],
    ids=str,
)
def test_a_layer_computes_the_same(layer: nn.Module) -> None:
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    with torch.no_grad():
        weight[torch.rand_like(weight) < 0.7] = 0
    inputs = torch.randn(3, 5, 8, 9)
    with torch.inference_mode():
        sparse = with_sparse_rows(nn.Sequential(layer))
        assert isinstance(sparse[0], SparseRowsConv | SparseRowsLinear)  # type: ignore[index]
        assert torch.allclose(sparse(inputs), layer(inputs), atol=1e-5)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, padding="same")], ids=str
)
def test_what_cannot_be_unfolded_stays_dense(layer: nn.Module) -> None:
    assert isinstance(with_sparse_rows(nn.Sequential(layer))[0], nn.Conv2d)  # type: ignore[index]


@pytest.mark.parametrize("method", ["fine", "channel"])
def test_a_network_gives_the_same_logits(method: str) -> None:
    network = Pruner(random_network()).prune(PruningSpec(method, 0.6)).network
    dense = for_inference(network, CPU, "fp32")
    inputs = torch.randn(2, *network.signature.example[1:])
    with torch.inference_mode():
        assert torch.allclose(with_sparse_rows(dense)(inputs), dense(inputs), atol=1e-4)
