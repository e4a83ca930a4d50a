"""Costs against direct formulas, counts by brute force and the file itself."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load as parse
from torch import Tensor, nn
from torch.nn.utils.prune import random_unstructured

from core.data.normalisation import CIFAR10
from core.measuring.cost import compressed_bytes, cost
from core.networks import checkpoint
from core.networks.layers import prunable_layers
from core.networks.network import Network
from core.networks.registry import build_on_meta
from core.networks.signature import Signature
from core.pruning import prune
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS
from tests.examples import expensive
from tests.networks import kinds
from tests.small_networks import (
    Widths,
    copy_of_state,
    followed,
    new_network,
    random_network,
    resnet,
    same_state,
    wrap,
)

UNEVEN = Widths(streams=(5, 12, 7, 16), inner=(3, 9, 1, 30, 8, 11, 4, 20))

a_width = st.integers(1, 70)
any_widths = st.builds(Widths, st.tuples(*[a_width] * 4), st.tuples(*[a_width] * 8))


def macs_by_formula(widths: Widths, classes: int = 10) -> dict[str, int]:
    """Outputs x inputs x kernel height x kernel width x map height x map width."""
    macs = {"conv1": widths.streams[0] * 3 * 3 * 3 * 32 * 32}
    inputs = widths.streams[0]
    for stage in range(4):
        pixels = (32 // 2**stage) ** 2
        outputs = widths.streams[stage]
        for block in range(2):
            name, inner = f"layer{stage + 1}.{block}", widths.inner[2 * stage + block]
            macs[f"{name}.conv1"] = inner * inputs * 9 * pixels
            macs[f"{name}.conv2"] = outputs * inner * 9 * pixels
            if stage > 0 and block == 0:
                macs[f"{name}.downsample.0"] = outputs * inputs * pixels
            inputs = outputs
    macs["fc"] = classes * inputs
    return macs


def resnet18(classes: int) -> Signature:
    return Signature(Architecture("resnet18"), classes, 32, CIFAR10)


def positions_per_layer(model: Network) -> dict[str, int]:
    """How many positions each weight is used at in one image, seen while the network runs."""
    positions: dict[str, int] = {}
    for name, layer in prunable_layers(model.module).items():

        def note(_: nn.Module, __: Any, output: Tensor, name: str = name) -> None:
            positions[name] = output[0, 0].numel()

        layer.register_forward_hook(note)
    model.module(torch.zeros(1, 3, 32, 32))
    return positions


def test_the_standard_network_takes_555_422_720_macs() -> None:
    macs = new_network(64).macs
    assert sum(macs.values()) == 555_422_720
    assert macs == macs_by_formula(Widths.regular(64))


def test_the_standard_network_has_11_173_962_parameters() -> None:
    model = build_on_meta(resnet18(10))
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_173_962


@given(any_widths, st.integers(2, 20))
@expensive(20)
def test_macs_equal_the_formula_at_any_width(widths: Widths, classes: int) -> None:
    network = Network.of(resnet(widths, classes), resnet18(classes))
    assert network.macs == macs_by_formula(widths, classes)
    assert list(network.macs) == list(prunable_layers(network.module))


@pytest.mark.parametrize("method", METHODS)
def test_a_pruned_network_is_counted_as_by_brute_force(method: str) -> None:
    model = prune(random_network(UNEVEN), PruningSpec(method, 0.4)).network
    counted = cost(model)
    numbers = [
        number for parameter in model.module.parameters() for number in parameter.flatten().tolist()
    ]
    assert counted.parameters == len(numbers)
    assert counted.nonzero == sum(number != 0 for number in numbers)
    positions = positions_per_layer(model)
    layers = prunable_layers(model.module)
    executed = {name: layer.weight.numel() * positions[name] for name, layer in layers.items()}
    useful = sum(int((layers[name].weight != 0).sum()) * positions[name] for name in layers)
    assert counted.macs == sum(executed.values())
    assert counted.macs_nonzero == pytest.approx(useful, rel=1e-12)
    assert 0 < counted.macs_nonzero <= counted.macs


def test_the_classes_of_the_network_count() -> None:
    model = Network.of(resnet(UNEVEN, classes=7), resnet18(7))
    assert cost(model).macs == sum(macs_by_formula(UNEVEN, 7).values())


def test_zeros_cost_as_much_as_other_weights() -> None:
    dense, sparse = random_network(), prune(random_network(), PruningSpec("fine", 0.9)).network
    before, after = cost(dense), cost(sparse)
    assert (after.parameters, after.macs, after.bytes) == (
        before.parameters,
        before.macs,
        before.bytes,
    )
    assert before.macs_nonzero == before.macs
    assert after.macs_nonzero == pytest.approx(0.1 * before.macs, rel=0.01)


def test_a_channel_pruned_network_costs_what_one_built_as_narrow_does() -> None:
    pruned = prune(random_network(), PruningSpec("channel", 0.5)).network
    assert cost(pruned) == cost(random_network(Widths.regular(4), seed=1))


@pytest.mark.parametrize("widths", [Widths.regular(8), UNEVEN])
def test_bytes_are_those_of_the_tensors_in_the_saved_file(widths: Widths, tmp_path: Path) -> None:
    model = random_network(widths)
    checkpoint.save(model, tmp_path / "saved.safetensors", "digits", {"note": "n" * 1000})
    content = (tmp_path / "saved.safetensors").read_bytes()
    header_size = int.from_bytes(content[:8], "little")
    tensors_size = len(content) - 8 - header_size
    assert cost(model).bytes == tensors_size

    by_hand = 0  # fp16 weights; fp32 batch-norm tensors and one int64 counter each
    for module in model.module.modules():
        if isinstance(module, nn.Conv2d):
            by_hand += 2 * module.weight.numel()
        elif isinstance(module, nn.Linear):
            by_hand += 2 * (module.weight.numel() + module.bias.numel())
        elif isinstance(module, nn.BatchNorm2d):
            by_hand += 4 * 4 * module.num_features + 8
    assert tensors_size == by_hand


def test_compressed_bytes_are_those_of_content_that_decompresses_to_the_same() -> None:
    model = prune(random_network(), PruningSpec("fine", 0.8)).network
    content = checkpoint.to_bytes(model.module)
    compressed = zlib.compress(content, 6)
    assert compressed_bytes(model.module) == len(compressed)
    assert same_state(parse(zlib.decompress(compressed)), checkpoint.stored_tensors(model.module))
    gzip_instead = len(gzip.compress(content, 6))
    assert gzip_instead == len(compressed) + 12  # 18 bytes around the same stream instead of 6


def test_only_zeros_compress() -> None:
    dense = random_network()
    sparse = prune(dense, PruningSpec("fine", 0.9)).network
    assert compressed_bytes(dense.module) > 0.85 * cost(dense).bytes
    assert compressed_bytes(sparse.module) < 0.3 * cost(dense).bytes


def test_counting_leaves_the_network_alone() -> None:
    model = random_network().module.train()
    before = copy_of_state(model)
    cost(wrap(model))
    compressed_bytes(model)
    assert same_state(model.state_dict(), before)
    assert model.training


def test_a_weight_that_two_layers_share_is_stored_once_and_multiplied_by_both() -> None:
    network = followed(kinds.Network(kinds.SharedParameter()))
    found = cost(network)
    assert found.parameters == sum(each.numel() for each in network.module.parameters())
    assert network.macs["middle.first"] == network.macs["middle.second"] == 8 * 8 * 8 * 6
    assert found.macs_nonzero == found.macs == sum(network.macs.values())


def test_zeros_of_a_weight_that_is_computed_count() -> None:
    model = kinds.Network(kinds.conv())
    random_unstructured(model.middle, "weight", 0.25)  # type: ignore[no-untyped-call]
    network = followed(model)
    everything = sum(network.macs.values())
    assert cost(network).macs == everything
    assert cost(network).macs_nonzero == everything - network.macs["middle"] / 4
