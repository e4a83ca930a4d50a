"""Reconstruction: against least squares on the activations themselves, and what it never does."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.data.dataset import DataSet
from core.evidence import Evidence, Moments, collect
from core.measuring.evaluation import evaluate_fully
from core.networks import batch_norm
from core.networks.batch_norm import finished
from core.networks.checkpoint import Checkpoint
from core.networks.narrow import kept_positions
from core.networks.network import Network
from core.pruning import Pruned, prune
from core.recovery.reconstruct import guess, reconstruct
from core.recovery.recover import recover_fully
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from tests.small_networks import (
    copy_of_state,
    followed,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
    same_state,
)

CPU = torch.device("cpu")
NO_RIDGE = 1e-12
PICTURES = torch.randint(
    256, (300, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)


def moments(network: Network, pictures: Tensor = PICTURES) -> dict[str, Moments]:
    return finished(collect(network, pictures, "fp32", CPU))


NETWORKS = pytest.mark.parametrize("make", [random_resnet, random_vgg, random_bottleneck_resnet])


def inputs_of(network: Network, layer: str, pictures: Tensor = PICTURES) -> Tensor:
    """What a layer reads, (positions, inputs), in float64."""
    module = copy.deepcopy(network.module).double()
    read: list[Tensor] = []
    reader = module.get_submodule(layer)
    reader.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        module(network.inputs(pictures).double())
    (x,) = read
    if isinstance(reader, nn.Conv2d) and reader.kernel_size == (1, 1):
        x = x[:, :, :: reader.stride[0], :: reader.stride[1]]
    return x if x.ndim == 2 else x.movedim(1, -1).flatten(0, -2)


@NETWORKS
def test_moments_are_those_of_what_layers_read(make: Callable[[], nn.Module]) -> None:
    network = followed(make())
    found = moments(network)
    assert set(found) == {layer for group in network.groups for layer, _ in group.consumers}
    for name, each in found.items():
        rows = inputs_of(network, name).numpy()
        scale = rows.std(0).max()
        np.testing.assert_allclose(each.mean, rows.mean(0), atol=3e-5 * scale)
        np.testing.assert_allclose(each.covariance, np.cov(rows.T, bias=True), atol=3e-5 * scale**2)


def test_moments_depend_on_batches_and_threads_by_rounding_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = followed(random_resnet())
    usual = moments(network)
    threads = torch.get_num_threads()
    monkeypatch.setattr(batch_norm, "CALIBRATION_BATCH", 7)
    monkeypatch.setattr("core.evidence.moments.ROWS_AT_ONCE", 100)
    torch.set_num_threads(1)
    try:
        other = moments(network)
    finally:
        torch.set_num_threads(threads)
    for name, each in usual.items():
        torch.testing.assert_close(each.covariance, other[name].covariance, rtol=2e-4, atol=1e-5)


def test_a_guess_is_the_least_squares_solution_on_the_activations() -> None:
    network = followed(random_resnet())
    for name in ("layer1.0.conv2", "layer2.0.downsample.0", "fc"):
        rows = inputs_of(network, name)
        left, gone = torch.tensor([0, 2, 3, 6]), torch.tensor([1, 4, 5, 7])
        exact = Moments(rows.mean(0), torch.cov(rows.T, correction=0))
        slopes, constants = guess(exact, left, gone, NO_RIDGE)
        stacked = np.column_stack([rows[:, left], np.ones(len(rows))])
        expected = np.linalg.lstsq(stacked, rows[:, gone].numpy(), rcond=None)[0]
        np.testing.assert_allclose(slopes, expected[:-1].T, atol=1e-6)
        np.testing.assert_allclose(constants, expected[-1], atol=1e-6)


def pruned_and_rebuilt(network: Network, spec: PruningSpec, ridge: float) -> tuple[Pruned, Network]:
    pruned = prune(network, spec)
    return pruned, reconstruct(network, pruned.network, pruned.kept, moments(network), ridge)


def chain(activation: nn.Module) -> nn.Sequential:
    """Two convolutions and a linear layer; of eight channels, the last four repeat the others."""
    first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    module = nn.Sequential(
        first,
        activation,
        nn.Conv2d(8, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 10),
    ).eval()
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data.normal_(generator=generator)
    first.weight.data[4:] = 0.1 * first.weight.data[:4].flip(0)  # so that these go first
    return module


def test_channels_that_others_determine_are_not_missed() -> None:
    for activation in (nn.Identity(), nn.ReLU()):
        network = followed(chain(activation))
        spec = PruningSpec("channel", 0.5, overrides=(("2", 0.0),))
        pruned, rebuilt = pruned_and_rebuilt(network, spec, NO_RIDGE)
        pictures = network.inputs(PICTURES[:20])
        with torch.no_grad():
            whole, narrow, after = (
                each.module(pictures) for each in (network, pruned.network, rebuilt)
            )
        assert rebuilt.layers["0"].weight.shape[0] == 4
        torch.testing.assert_close(after, whole, rtol=1e-3, atol=1e-3)
        assert (narrow - whole).abs().max() > 0.1


def test_masked_filters_are_made_up_for_as_removed_ones() -> None:
    network = followed(chain(nn.ReLU()))
    _, removed = pruned_and_rebuilt(
        network, PruningSpec("channel", 0.5, overrides=(("2", 0.0),)), NO_RIDGE
    )
    masked, rebuilt = pruned_and_rebuilt(
        network, PruningSpec("channel-mask", 0.5, overrides=(("2", 0.0),)), NO_RIDGE
    )
    pictures = network.inputs(PICTURES[:20])
    with torch.no_grad():
        torch.testing.assert_close(rebuilt.module(pictures), removed.module(pictures))
    for name, layer in masked.network.layers.items():
        is_zero = layer.weight == 0
        assert not rebuilt.layers[name].weight[is_zero].any()


@NETWORKS
@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
def test_no_reader_answers_worse(make: Callable[[], nn.Module], ratio: float) -> None:
    """In squared error, apart from a constant, which batch-norm takes."""
    network = followed(make())
    pruned, rebuilt = pruned_and_rebuilt(network, PruningSpec("channel", ratio), NO_RIDGE)
    stays = kept_positions(network.groups, pruned.kept, network.module)
    readers = [name for name in network.layers if (f"{name}.weight", 1) in stays]
    won = []
    for name in readers:
        whole = network.layers[name].weight.detach().double()
        left = torch.from_numpy(stays[f"{name}.weight", 1])
        rows = inputs_of(network, name)
        if (f"{name}.weight", 0) in stays:
            whole = whole[torch.from_numpy(stays[f"{name}.weight", 0])]
        answers = rows @ by_tap(whole).T
        before, after = (
            (answers - rows[:, left] @ by_tap(each.layers[name].weight.detach().double()).T)
            for each in (pruned.network, rebuilt)
        )
        assert (after.var(0) <= before.var(0) * (1 + 1e-4) + 1e-9).all()
        won.append(after.var(0).sum() < 0.99 * before.var(0).sum())
    assert any(won)


def by_tap(weight: Tensor) -> Tensor:
    """(outputs, inputs, ...) as (outputs and places in the kernel, inputs)."""
    return weight.reshape(*weight.shape[:2], -1).movedim(1, -1).flatten(0, 1)


@NETWORKS
def test_a_ratio_of_zero_changes_nothing(make: Callable[[], nn.Module]) -> None:
    network = followed(make())
    _, rebuilt = pruned_and_rebuilt(network, PruningSpec("channel", 0.0), 1e-3)
    assert same_state(rebuilt.module.state_dict(), network.module.state_dict())


def test_neither_network_is_modified() -> None:
    network = followed(random_resnet())
    before = copy_of_state(network.module)
    pruned = prune(network, PruningSpec("channel", 0.5))
    narrow = copy_of_state(pruned.network.module)
    reconstruct(network, pruned.network, pruned.kept, moments(network))
    assert same_state(network.module.state_dict(), before)
    assert same_state(pruned.network.module.state_dict(), narrow)


def test_fully_sparse_inputs_do_not_divide_by_zero() -> None:
    dead = Moments(torch.zeros(4), torch.zeros(4, 4))
    slopes, constants = guess(dead, torch.tensor([0, 2]), torch.tensor([1, 3]), 1e-3)
    assert not slopes.any()
    assert not constants.any()


# Evidence


def collected(evidence: Evidence, count: int = 300, seed: int = 0) -> dict[str, Moments]:
    return dict(finished(evidence.moments(count, seed)))


def evidence_of(trained: Checkpoint, digits: DataSet, folder: Path, **changes: Any) -> Evidence:
    named = {"precision": "fp32", "device": CPU, "folder": folder, **changes}
    return Evidence(trained.network, trained.fingerprint, digits.training, **named)


def test_evidence_is_kept_and_read_again(
    trained: Checkpoint, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = collected(evidence_of(trained, digits, tmp_path))
    (file,) = tmp_path.iterdir()

    def refuse(*_: Any) -> None:
        raise AssertionError("collected again")

    monkeypatch.setattr("core.evidence.evidence.collect", refuse)
    again = collected(evidence_of(trained, digits, tmp_path))
    assert again.keys() == first.keys()
    for name, each in first.items():
        assert torch.equal(again[name].mean, each.mean)
        assert torch.equal(again[name].covariance, each.covariance)
    for count, seed, precision in ((200, 0, "fp32"), (300, 1, "fp32"), (300, 0, "bf16")):
        other = evidence_of(trained, digits, tmp_path, precision=precision)
        with pytest.raises(AssertionError, match="collected again"):
            collected(other, count, seed)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(AssertionError, match="collected again"):
        collected(evidence_of(trained, digits, tmp_path))


def test_a_folder_that_cannot_be_written_does_not_matter(
    trained: Checkpoint, digits: DataSet, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert collected(evidence_of(trained, digits, tmp_path / "file" / "within"))


def test_the_folder_is_bounded(
    trained: Checkpoint, digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    for seed in range(4):
        collected(evidence_of(trained, digits, tmp_path), 100, seed)
        files = sorted(tmp_path.iterdir())
        sizes.append(len(files))
        monkeypatch.setattr("core.evidence.evidence.MOST_BYTES", 2.5 * files[0].stat().st_size)
    assert sizes == [1, 2, 2, 2]


def test_reconstruction_brings_more_back_than_recalibration(
    trained: Checkpoint, digits: DataSet, tmp_path: Path
) -> None:
    pruned = prune(trained.network, PruningSpec("channel", 0.4))
    evidence = evidence_of(trained, digits, tmp_path)
    raw, recalibrated, rebuilt = (
        evaluate_fully(
            recover_fully(pruned, Recovery.named(method), evidence),
            digits.test_images,
            digits.test_labels,
        ).correct
        for method in ("none", "bn", "reconstruct")
    )
    assert raw < recalibrated < rebuilt
