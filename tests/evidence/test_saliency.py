"""What is known of a layer's inputs: against least squares, hooks and finite differences."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core import paths
from core.data.dataset import DataSet
from core.evidence import Evidence, collect, kept_identity, kept_saliency, local_evidence
from core.evidence.saliency import InputSaliency, changes_of_loss, relative_loss
from core.networks.batch_norm import finished
from core.networks.checkpoint import Checkpoint
from core.networks.layers import input_dim
from core.networks.network import Network
from core.specs.pruning import PruningSpec
from core.sweeps.measurer import new_pruner
from tests.small_networks import (
    followed,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
)

CPU = torch.device("cpu")
SOURCE = torch.Generator().manual_seed(1)
PICTURES = torch.randint(256, (60, 3, 8, 8), dtype=torch.uint8, generator=SOURCE)
LABELS = torch.randint(10, (60,), generator=SOURCE)


def known_of(network: Network, layer: str) -> InputSaliency:
    moments = finished(collect(network, PICTURES, "fp32", CPU))[layer]
    weight = network.layers[layer].weight.detach()
    return InputSaliency.of(weight.movedim(input_dim(network.layers[layer]), 1), moments)


def columns_of(network: Network, layer: str) -> Tensor:
    """What the whole kernel sees, (positions, inputs x places), in float64."""
    module = copy.deepcopy(network.module).double()
    read: list[Tensor] = []
    reader = module.get_submodule(layer)
    reader.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        module(network.inputs(PICTURES).double())
    (x,) = read
    if not isinstance(reader, nn.Conv2d):
        return x
    if reader.kernel_size == (1, 1):
        return x[:, :, :: reader.stride[0], :: reader.stride[1]].movedim(1, -1).flatten(0, -2)
    x = x - x.mean((0, 2, 3), keepdim=True)  # at the border nothing differs from the mean
    seen = F.unfold(x, reader.kernel_size, padding=tuple(s - 1 for s in reader.kernel_size))
    return seen.movedim(1, -1).flatten(0, -2)


@pytest.mark.parametrize("layer", ["layer1.0.conv2", "layer2.0.downsample.0", "fc"])
def test_the_loss_of_an_input_is_what_least_squares_leaves(layer: str) -> None:
    network = followed(random_resnet())
    weight = network.layers[layer].weight.detach().double()
    moments = finished(collect(network, PICTURES, "fp32", CPU))[layer]
    loss = relative_loss(moments.rows(weight), moments, ridge=1e-6)
    inputs, places = weight.shape[1], weight[0, 0].numel()
    columns = columns_of(network, layer).numpy()
    columns = columns - columns.mean(0)
    answers = columns @ weight.flatten(1).T.numpy()
    for gone in range(0, inputs, 3):
        left = np.ones((inputs, places), bool)
        left[gone] = False
        others = columns[:, left.ravel()]
        best = others @ np.linalg.lstsq(others, answers, rcond=None)[0]
        expected = ((answers - best) ** 2).sum() / (answers**2).sum()
        assert float(loss[gone]) == pytest.approx(expected, rel=0.02, abs=3e-4)


@pytest.mark.parametrize("layer", ["layer2.0.downsample.0", "fc"])
def test_energy_is_the_mean_square(layer: str) -> None:
    network = followed(random_resnet())
    expected = columns_of(network, layer).square().mean(0)
    np.testing.assert_allclose(known_of(network, layer).energy, expected, rtol=1e-3)


def test_inverse_is_the_diagonal_of_the_inverse() -> None:
    network = followed(random_resnet())
    columns = columns_of(network, "fc").numpy()
    second = columns.T @ columns / len(columns)
    second += 1e-3 * np.trace(second) / len(second) * np.eye(len(second))
    found = known_of(network, "fc").inverse
    assert found.shape == (len(second), 1)
    np.testing.assert_allclose(found[:, 0], np.linalg.inv(second).diagonal(), rtol=1e-2)


@pytest.mark.parametrize("make", [random_resnet, random_vgg, random_bottleneck_resnet])
def test_changes_are_those_of_finite_differences(make: Callable[[], nn.Module]) -> None:
    """A step along a channel's input weights changes the loss as a gate there would."""
    network = followed(make())
    found = finished(changes_of_loss(network, PICTURES, LABELS, CPU))
    inputs = network.inputs(PICTURES).double()
    checked = 0
    for group in network.groups:
        layers = [
            name for name, _ in group.consumers if getattr(network.layers[name], "groups", 1) == 1
        ]
        if not layers:
            assert group.name not in found
            continue
        for channel in (0, group.size - 1):
            losses = []
            for step in (1e-5, -1e-5):
                module = copy.deepcopy(network.module).double()
                for name in layers:
                    weight = module.get_submodule(name).get_parameter("weight")
                    each = weight.shape[1] // group.size  # inputs of one channel are neighbours
                    weight.data[:, channel * each : (channel + 1) * each] *= 1 + step
                with torch.no_grad():
                    losses.append(F.cross_entropy(module(inputs), LABELS, reduction="none"))
            derivatives = (losses[0] - losses[1]) / 2e-5
            expected = float(derivatives.square().mean())
            assert float(found[group.name][channel]) == pytest.approx(expected, rel=1e-3, abs=1e-9)
            checked += expected > 1e-9
    assert checked


def test_a_layer_that_is_called_twice_has_one_gate() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 1)
            self.second = nn.Conv2d(4, 4, 1)
            self.last = nn.Linear(4, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.second(input=self.second(self.first(x)).relu())
            answers: Tensor = self.last(x.mean((2, 3)))
            return answers

    torch.manual_seed(0)
    network = followed(Twice())
    found = finished(changes_of_loss(network, PICTURES, LABELS, CPU))
    inputs = network.inputs(PICTURES).double()
    losses = []
    for step in (1e-5, -1e-5):
        module = copy.deepcopy(network.module).double()
        for name in ("second.weight", "last.weight"):
            module.get_parameter(name).data[:, 1] *= 1 + step
        with torch.no_grad():
            losses.append(F.cross_entropy(module(inputs), LABELS, reduction="none"))
    (group,) = network.groups
    expected = float(((losses[0] - losses[1]) / 2e-5).square().mean())
    assert float(found[group.name][1]) == pytest.approx(expected, rel=1e-3)


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path)
    return tmp_path


def evidence_of(trained: Checkpoint, digits: DataSet, **changes: Any) -> Evidence:
    return local_evidence(trained, digits.training, "fp32", CPU, **changes)


@pytest.mark.usefixtures("checkpoints")
def test_saliency_is_collected_once_and_kept(trained: Checkpoint, digits: DataSet) -> None:
    network, fingerprint = trained.network, trained.fingerprint
    assert kept_saliency(network, fingerprint) is None
    assert kept_identity(network, fingerprint) == ""
    evidence = evidence_of(trained, digits)
    expected_identity = evidence.identity
    saliency = finished(evidence.saliency())
    assert saliency.identity == expected_identity == kept_identity(network, fingerprint)
    again = kept_saliency(network, fingerprint)
    assert again is not None
    assert again.identity == saliency.identity
    for layer, each in saliency.inputs.items():
        for name in ("energy", "inverse", "loss"):
            assert torch.equal(getattr(each, name), getattr(again.inputs[layer], name))
    for group, change in saliency.changes.items():
        assert torch.equal(change, again.changes[group])
    assert list(evidence_of(trained, digits).saliency()) == []  # nothing is collected again
    spec = PruningSpec("channel", 0.5, "second-order", "global")
    assert new_pruner(trained).prune(spec).sparsity > 0


def test_what_ships_is_taken_first(trained: Checkpoint, digits: DataSet, checkpoints: Path) -> None:
    finished(evidence_of(trained, digits).saliency())
    (kept,) = (checkpoints / "local" / "evidence").glob("saliency-*")
    (checkpoints / "evidence").mkdir()
    shipped = kept.rename(checkpoints / "evidence" / kept.name)
    assert list(evidence_of(trained, digits).saliency()) == []
    shipped.write_bytes(shipped.read_bytes()[:100])  # damaged
    assert kept_saliency(trained.network, trained.fingerprint) is None
    assert len(list(evidence_of(trained, digits).saliency())) > 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written_is_no_error(
    trained: Checkpoint, digits: DataSet, checkpoints: Path
) -> None:
    checkpoints.chmod(0o500)
    try:
        assert finished(evidence_of(trained, digits).saliency()).inputs
    finally:
        checkpoints.chmod(0o700)
