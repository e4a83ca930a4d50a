"""Reconstruction: against least squares on the activations themselves, and what it never does."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
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
from core.recovery.compensation import compensated
from core.recovery.reconstruct import made_up_for, reconstruct
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


def maps_of(network: Network, layer: str, pictures: Tensor = PICTURES) -> Tensor:
    """What a layer reads, (N, inputs, ...), in float64."""
    module = copy.deepcopy(network.module).double()
    read: list[Tensor] = []
    reader = module.get_submodule(layer)
    reader.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        module(network.inputs(pictures).double())
    (x,) = read
    if isinstance(reader, nn.Conv2d) and reader.kernel_size == (1, 1):
        x = x[:, :, :: reader.stride[0], :: reader.stride[1]]
    return x


def columns_of(network: Network, layer: str) -> Tensor:
    """What the whole kernel sees, without the mean, (positions, inputs x places), in float64."""
    x, reader = maps_of(network, layer), network.layers[layer]
    if not isinstance(reader, nn.Conv2d):
        return x - x.mean(0)
    x = x - x.mean((0, 2, 3), keepdim=True)
    kernel = reader.kernel_size
    seen = F.unfold(x, kernel, padding=tuple(size - 1 for size in kernel))
    return seen.movedim(1, -1).flatten(0, -2)


@NETWORKS
def test_moments_are_those_of_what_kernels_see(make: Callable[[], nn.Module]) -> None:
    network = followed(make())
    found = moments(network)
    assert set(found) == {
        name for name, layer in network.layers.items() if getattr(layer, "groups", 1) == 1
    }
    for name, each in found.items():
        maps = maps_of(network, name)
        scale = float(maps.transpose(0, 1).flatten(1).std(1).max())
        mean = maps.transpose(0, 1).flatten(1).mean(1)
        np.testing.assert_allclose(each.mean, mean, atol=3e-5 * scale)
        columns = columns_of(network, name)
        positions = maps[:, 0].numel()
        every = torch.arange(len(each.mean))
        np.testing.assert_allclose(
            each.covariance(every, every), columns.T @ columns / positions, atol=3e-5 * scale**2
        )
        some, others = every[::2], every[1::2]
        inputs, places = len(each.mean), each.places
        whole = each.covariance(every, every).view(inputs, places, inputs, places)
        part = whole[some][:, :, others].flatten(2).flatten(0, 1)
        assert torch.equal(each.covariance(some, others), part)


def test_a_large_kernel_is_seen_place_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    network = followed(random_resnet())
    monkeypatch.setattr("core.evidence.moments.MOST_COLUMNS", 9 * 8)
    found = moments(network)
    assert found["layer1.0.conv1"].kernel == (3, 3)
    assert found["layer2.0.conv2"].kernel == ()
    assert "fc" in found
    monkeypatch.setattr("core.evidence.reading.MOST_COLUMNS", 8)
    assert "layer2.0.conv2" not in moments(network)


def test_moments_depend_on_batches_and_threads_by_rounding_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = followed(random_resnet())
    usual = moments(network)
    threads = torch.get_num_threads()
    monkeypatch.setattr(batch_norm, "CALIBRATION_BATCH", 7)
    monkeypatch.setattr("core.evidence.moments.POSITIONS_AT_ONCE", 100)
    torch.set_num_threads(1)
    try:
        other = moments(network)
    finally:
        torch.set_num_threads(threads)
    for name, each in usual.items():
        torch.testing.assert_close(each.shifted, other[name].shifted, rtol=2e-4, atol=1e-5)


def exact(network: Network, layer: str) -> Moments:
    """The moments in float64, from the activations themselves."""
    found = moments(network)[layer]
    maps = maps_of(network, layer)
    mean = maps.transpose(0, 1).flatten(1).mean(1)
    columns = columns_of(network, layer)
    covariance = (columns.T @ columns / maps[:, 0].numel()).numpy()

    class Exact(Moments):
        def covariance(self, left: Tensor, right: Tensor) -> Tensor:
            rows, others = (
                (each[:, None] * self.places + place(self)).flatten() for each in (left, right)
            )
            return torch.from_numpy(covariance[rows][:, others])

    return Exact(found.kernel, mean, found.shifted)


def place(moments: Moments) -> Tensor:
    return torch.arange(moments.places)


@pytest.mark.parametrize("layer", ["layer1.0.conv2", "layer2.0.downsample.0", "fc"])
def test_weights_are_the_least_squares_solution_on_the_activations(layer: str) -> None:
    network = followed(random_resnet())
    columns, known = columns_of(network, layer).numpy(), exact(network, layer)
    weight = network.layers[layer].weight.detach().double()
    rows = known.rows(weight)
    left = torch.arange(rows.shape[1])[torch.arange(rows.shape[1]) % 3 > 0]
    fitted, shift = made_up_for(rows, left, known, NO_RIDGE)
    of_left = (left[:, None] * known.places + place(known)).flatten().numpy()
    answers = columns @ rows.flatten(1).T.numpy()
    expected = np.linalg.lstsq(columns[:, of_left], answers, rcond=None)[0]
    found = columns[:, of_left] @ fitted.flatten(1).T.numpy()  # dead inputs may have any weight
    np.testing.assert_allclose(found, columns[:, of_left] @ expected, atol=1e-6)
    constant = rows.sum(2) @ known.mean - fitted.sum(2) @ known.mean[left]
    np.testing.assert_allclose(shift, constant, atol=1e-9)


def rebuild(
    network: Network, pruned: Pruned, known: dict[str, Moments], ridge: float = 1e-3
) -> Network:
    return reconstruct(network, pruned.network, pruned.kept, known, ridge)


def pruned_and_rebuilt(network: Network, spec: PruningSpec, ridge: float) -> tuple[Pruned, Network]:
    pruned = prune(network, spec)
    return pruned, rebuild(network, pruned, moments(network), ridge)


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
@pytest.mark.parametrize("method", ["channel", "fine"])
def test_no_layer_answers_worse(make: Callable[[], nn.Module], ratio: float, method: str) -> None:
    """In squared error over what it reads, apart from a constant, which batch-norm takes."""
    network = followed(make())
    known = moments(network)
    pruned = prune(network, PruningSpec(method, ratio))
    rebuilt = rebuild(network, pruned, known, NO_RIDGE)
    stays = kept_positions(network.groups, pruned.kept, network.module)
    won = []
    for name, of_layer in known.items():
        every = torch.arange(len(of_layer.mean))
        squares = of_layer.covariance(every, every).double()
        if method == "fine":  # no batch-norm is counted on
            mean = of_layer.mean.double().repeat_interleave(of_layer.places)
            squares += torch.outer(mean, mean)
        weight = network.layers[name].weight.detach()
        outputs, left = (
            torch.from_numpy(stays.get((f"{name}.weight", dim), np.arange(weight.shape[dim])))
            for dim in (0, 1)
        )
        rows = of_layer.rows(weight[outputs].double())
        errors = []
        for each in (pruned.network, rebuilt):
            lost = rows.clone()
            lost[:, left] -= of_layer.rows(each.layers[name].weight.detach().double())
            errors.append((lost.flatten(1) @ squares * lost.flatten(1)).sum(1))
        before, after = errors
        if method == "channel":
            assert (after <= before * (1 + 1e-4) + 1e-6).all()
        won.append(bool(after.sum() < 0.99 * before.sum()))
    assert any(won)


@NETWORKS
@pytest.mark.parametrize("method", ["channel", "fine"])
def test_a_ratio_of_zero_changes_nothing(make: Callable[[], nn.Module], method: str) -> None:
    network = followed(make())
    _, rebuilt = pruned_and_rebuilt(network, PruningSpec(method, 0.0), 1e-3)
    assert same_state(rebuilt.module.state_dict(), network.module.state_dict())


def test_neither_network_is_modified() -> None:
    network = followed(random_resnet())
    before = copy_of_state(network.module)
    pruned = prune(network, PruningSpec("channel", 0.5))
    narrow = copy_of_state(pruned.network.module)
    reconstruct(network, pruned.network, pruned.kept, moments(network))
    assert same_state(network.module.state_dict(), before)
    assert same_state(pruned.network.module.state_dict(), narrow)


def test_dead_inputs_do_not_divide_by_zero() -> None:
    dead = Moments((), torch.zeros(4), torch.zeros(1, 4, 4))
    rows, shift = made_up_for(torch.ones(2, 4, 1), torch.tensor([0, 2]), dead, 1e-3)
    assert torch.equal(rows, torch.ones(2, 2, 1))
    assert not shift.any()
    is_left = torch.tensor([[True, False, True, False]])
    assert torch.equal(
        compensated(torch.ones(1, 4), is_left, dead.elimination(torch.arange(4))), is_left.float()
    )


def test_weights_zeroed_first_are_made_up_for_exactly() -> None:
    """Where all zeroed columns come before the others, elimination is plain least squares."""
    generator = torch.Generator().manual_seed(5)
    data = torch.randn(200, 130, generator=generator) @ torch.randn(130, 130, generator=generator)
    mean = data.mean(0)
    known = Moments((), mean, torch.cov(data.T, correction=0)[None])
    second = (data.T @ data / 200).double()
    second.diagonal().add_(1e-3 * second.diagonal().mean())
    weight = torch.randn(3, 130, generator=generator)
    is_left = torch.arange(130) >= 70
    fitted = compensated(weight, is_left.expand(3, -1), known.elimination(torch.arange(130)))
    gone, left = weight[:, :70].double(), weight[:, 70:].double()
    added = torch.linalg.solve(second[70:, 70:], second[70:, :70] @ gone.T).T
    torch.testing.assert_close(fitted[:, 70:].double(), left + added, rtol=1e-3, atol=1e-3)
    assert not fitted[:, :70].any()


@pytest.mark.parametrize("allocation", ["uniform", "global", "erk"])
def test_zeros_stay_zeros(allocation: str) -> None:
    network = followed(random_resnet())
    pruned, rebuilt = pruned_and_rebuilt(
        network, PruningSpec("fine", 0.8, allocation=allocation), NO_RIDGE
    )
    for name, layer in pruned.network.layers.items():
        assert torch.equal(layer.weight == 0, rebuilt.layers[name].weight == 0)


@NETWORKS
def test_a_hybrid_is_rebuilt_from_both_sides(make: Callable[[], nn.Module]) -> None:
    """Its channels as alone; then weights are zeroed in what came out, and made up for."""
    network = followed(make())
    known = moments(network)
    spec = PruningSpec("hybrid", 0.5, rest_ratio=0.6, rest_allocation="uniform")
    pruned, rebuilt = pruned_and_rebuilt(network, spec, 1e-3)
    only_channels = prune(network, PruningSpec("channel", 0.5))
    dense = rebuild(network, only_channels, known)
    stays = kept_positions(network.groups, pruned.kept, network.module)
    remaining = []
    for name, layer in rebuilt.layers.items():
        is_zero = pruned.network.layers[name].weight == 0
        assert torch.equal(layer.weight == 0, is_zero)
        if name not in known or not is_zero.any():
            continue
        left = torch.from_numpy(
            stays.get((f"{name}.weight", 1), np.arange(network.layers[name].weight.shape[1]))
        )
        second = known[name].covariance(left, left).double()
        mean = known[name].mean[left].double().repeat_interleave(known[name].places)
        second += torch.outer(mean, mean)
        target = known[name].rows(dense.layers[name].weight.detach().double()).flatten(1)

        def lost(weight: Tensor, target: Tensor = target, second: Tensor = second) -> float:
            error = target - weight.flatten(1)
            return float((error @ second * error).sum())

        masked = known[name].rows((dense.layers[name].weight * ~is_zero).detach().double())
        found = known[name].rows(layer.weight.detach().double())
        remaining.append(lost(found) / lost(masked))
    assert max(remaining) <= 1 + 1e-4
    assert np.mean(remaining) < 0.95


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
        assert torch.equal(again[name].shifted, each.shifted)
        assert again[name].kernel == each.kernel
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


@pytest.mark.parametrize("spec", [PruningSpec("channel", 0.4), PruningSpec("fine", 0.8)])
def test_reconstruction_brings_more_back_than_recalibration(
    spec: PruningSpec, trained: Checkpoint, digits: DataSet, tmp_path: Path
) -> None:
    pruned = prune(trained.network, spec)
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
