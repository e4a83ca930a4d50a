"""Batch-norm statistics estimated again: by plain formulas, and with nothing else changed."""

import copy
import json
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.data.dataset import DataSet
from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.evidence import Evidence
from core.measuring.evaluation import evaluate_fully
from core.measuring.outcome import Evaluation
from core.networks import checkpoint
from core.networks.batch_norm import Recovering, recalibrate
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.pruning import Pruned, prune
from core.recovery.recover import recover
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from tests.small_networks import (
    Widths,
    copy_of_state,
    images,
    random_bottleneck_resnet,
    random_network,
    random_resnet,
    random_vgg,
    recovered,
    same_state,
    wrap,
)

CPU = torch.device("cpu")
STATISTICS = ("running_mean", "running_var")


@pytest.fixture(scope="module")
def some(digits: DataSet) -> Tensor:
    """Training images, two batches of them."""
    return digits.train_images[:500]


@pytest.fixture(scope="module")
def small(some: Tensor) -> Tensor:
    """The same ones at 8x8, the second batch darker.

    Over so few pixels fp32 sums are exact to four digits.
    """
    images = some[:, :, ::4, ::4]
    return torch.cat([images[:250], images[250:] // 2])


def run(steps: Generator[Recovering, None, Network]) -> tuple[Network, list[Recovering]]:
    """What it returns, and every event before."""
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, events


def recalibrated(model: nn.Module, images: Tensor, precision: str = "fp32") -> nn.Module:
    return run(recalibrate(wrap(model), images, precision, CPU))[0].module


def evidence(network: Network, dataset: DataSet) -> Evidence:
    return Evidence(network, "baseline", dataset.training, "fp32", CPU)


def batch_norms(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {
        name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)
    }


def statistics(model: nn.Module, name: str) -> tuple[Tensor, Tensor]:
    mean, variance = (model.get_buffer(f"{name}.{buffer}") for buffer in STATISTICS)
    return mean, variance


def normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CIFAR10.mean, CIFAR10.std))
    return (images / 255 - mean) / std


def statistics_by_hand(model: nn.Module, batches: list[Tensor]) -> dict[str, Tensor]:
    """Means and unbiased variances, (2, channels), of what each batch-norm is given in training.

    The average over the batches, which are as large as each other.
    """
    network = copy.deepcopy(model).train()
    seen: dict[str, list[Tensor]] = {}

    def note_as(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].double().transpose(0, 1).flatten(1)
            both = torch.stack([values.mean(1), values.var(1, correction=1)])
            seen.setdefault(name, []).append(both)

        return note

    for name, module in batch_norms(network).items():
        module.register_forward_pre_hook(note_as(name))
    with torch.no_grad():
        for batch in batches:
            network(normalised(batch))
    return {name: torch.stack(parts).mean(0).float() for name, parts in seen.items()}


def check_against_hand(model: nn.Module, images: Tensor, tolerance: float = 1e-3) -> nn.Module:
    """Every statistic agrees to a thousandth, unless told, of its channel's deviation."""
    network, events = run(recalibrate(wrap(model), images, "fp32", CPU))
    sizes = np.diff([0, *(event.done for event in events)]).tolist()
    expected = statistics_by_hand(model, list(torch.split(images, sizes)))
    assert expected.keys() == batch_norms(network.module).keys()
    for name, (mean, variance) in expected.items():
        its_mean, its_variance = statistics(network.module, name)
        assert ((its_mean - mean).abs() <= tolerance * variance.sqrt() + 1e-5).all(), name
        assert ((its_variance - variance).abs() <= tolerance * variance + 1e-5).all(), name
    means = [(statistics(network.module, name)[0], statistics(model, name)[0]) for name in expected]
    assert not all(torch.allclose(mean, before, atol=0.1) for mean, before in means)
    return network.module


# The statistics


@pytest.mark.parametrize(
    "make",
    [lambda: random_resnet(Widths.regular(4)), random_bottleneck_resnet, random_vgg],
    ids=["resnet", "bottleneck", "vgg"],
)
def test_statistics_are_those_of_a_network_in_training(
    make: Callable[[], nn.Module], small: Tensor
) -> None:
    check_against_hand(make(), small)


def test_images_may_have_their_full_size(some: Tensor) -> None:
    check_against_hand(random_network(Widths.regular(4)).module, some, tolerance=5e-3)


def test_few_images_tell_an_unbiased_variance_from_a_biased_one(small: Tensor) -> None:
    check_against_hand(random_network(Widths.regular(4)).module, small[:12])


def test_the_first_batch_norms_statistics_follow_from_the_formula(small: Tensor) -> None:
    network = random_network(Widths.regular(4))
    weight = network.module.get_parameter("conv1.weight").detach().double()
    means, variances = [], []
    for half in (small[:250], small[250:]):
        given = F.conv2d(normalised(half).double(), weight, padding=1).numpy()
        pixels = given.size // 4
        mean = given.sum((0, 2, 3)) / pixels
        means.append(mean)
        variances.append(((given - mean.reshape(1, 4, 1, 1)) ** 2).sum((0, 2, 3)) / (pixels - 1))
    its_mean, its_variance = statistics(recalibrated(network.module, small), "bn1")
    np.testing.assert_allclose(its_mean, np.mean(means, axis=0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(its_variance, np.mean(variances, axis=0), rtol=1e-3)
    assert np.abs(means[0] - means[1]).max() > 0.1  # it is an average indeed
    assert np.abs(variances[0] / variances[1] - 1).max() > 0.1


@pytest.mark.parametrize("number", [10, 250, 390, 620, 1000])
def test_batches_are_about_equal_and_every_image_is_used(number: int) -> None:
    black = torch.zeros(number, 3, 8, 8, dtype=torch.uint8)
    _, events = run(recalibrate(random_network(Widths.regular(1)), black, "fp32", CPU))
    assert all(event.total == number for event in events)
    assert events[-1].done == number
    sizes = np.diff([0, *(event.done for event in events)])
    assert sizes.max() - sizes.min() <= 1
    assert sizes.max() <= 375
    assert sizes.min() >= min(number, 125)


@pytest.mark.parametrize(
    "spec",
    [
        PruningSpec("fine", 0.8),
        PruningSpec("channel", 0.5),
        PruningSpec("channel", 0.5, scope="internal"),
        PruningSpec("channel-mask", 0.5),
        PruningSpec("channel", 1.0),
    ],
    ids=lambda spec: f"{spec.method} {spec.scope} {spec.ratio}",
)
def test_a_pruned_network_can_be_recalibrated(
    trained: Checkpoint, some: Tensor, small: Tensor, spec: PruningSpec
) -> None:
    pruned = prune(trained.network, spec).network
    network = check_against_hand(pruned.module, small)
    if spec.ratio == 1:  # one channel is left
        assert {len(module.weight) for module in batch_norms(network).values()} == {1}
    logits = network(normalised(some[:5]))
    assert logits.shape == (5, 10)
    assert torch.isfinite(logits).all()


def test_bf16_is_close_to_fp32(trained: Checkpoint, some: Tensor) -> None:
    fp32, bf16 = (
        recalibrated(trained.network.module, some, precision) for precision in ("fp32", "bf16")
    )
    for name in batch_norms(fp32):
        (mean, variance), (its_mean, its_variance) = statistics(fp32, name), statistics(bf16, name)
        assert its_mean.dtype == its_variance.dtype == torch.float32
        assert ((its_mean - mean).abs() <= 0.02 * variance.sqrt()).all(), name
        assert ((its_variance - variance).abs() <= 0.02 * variance).all(), name
        assert not torch.equal(its_variance, variance)  # they are two computations


# Nothing else


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_only_the_copys_statistics_change(small: Tensor, precision: str) -> None:
    network = random_resnet(Widths.regular(4)).train()
    network.bn1.eval()
    network.conv1.requires_grad_(False)
    network.fc.weight.grad = torch.ones_like(network.fc.weight)
    before = copy_of_state(network)
    modes = [module.training for module in network.modules()]
    parameters = dict(network.named_parameters())

    result = recalibrated(network, small, precision)

    assert same_state(network.state_dict(), before)
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(network.fc.weight.grad, torch.ones_like(network.fc.weight))
    assert all(parameter.grad is None for n, parameter in parameters.items() if n != "fc.weight")

    assert not any(module.training for module in result.modules())
    after = result.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith(STATISTICS)}
    for name, tensor in after.items():
        assert (tensor.dtype, tensor.shape) == (before[name].dtype, before[name].shape)
    for name, parameter in result.named_parameters():
        assert parameter.requires_grad is parameters[name].requires_grad
        assert parameter.grad is None
        assert parameter.is_leaf
        assert parameter.data_ptr() != parameters[name].data_ptr()
    for name, module in batch_norms(result).items():
        assert module.momentum == batch_norms(network)[name].momentum


def test_no_gradients_are_prepared_on_the_way(small: Tensor) -> None:
    network = random_network(Widths.regular(1))
    outputs: list[Tensor] = []
    network.module.get_submodule("fc").register_forward_hook(
        lambda _, __, output: outputs.append(output)
    )
    assert network.module(images()).requires_grad
    outputs.clear()
    run(recalibrate(network, small, "fp32", CPU))
    assert len(outputs) == 2
    assert not any(output.requires_grad for output in outputs)


def test_the_result_can_be_trained_further(small: Tensor) -> None:
    result = recalibrated(random_network(Widths.regular(4)).module, small).train()
    before = copy_of_state(result)
    optimiser = torch.optim.SGD(result.parameters(), lr=0.1)
    loss = F.cross_entropy(result(images(32)), torch.tensor([1, 2]))
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    after = result.state_dict()
    for name in ("conv1.weight", "bn1.running_mean"):
        assert not torch.equal(after[name], before[name])


def test_dropping_it_midway_is_harmless(small: Tensor) -> None:
    network = random_network(Widths.regular(4))
    before = copy_of_state(network.module)
    steps = recalibrate(network, small, "fp32", CPU)
    next(steps)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    steps.close()
    assert not torch.is_inference_mode_enabled()
    assert same_state(network.module.state_dict(), before)
    assert not network.module.training


def test_events_may_be_drawn_from_different_threads(small: Tensor) -> None:
    network = random_network(Widths.regular(4))
    steps = recalibrate(network, small, "fp32", CPU)
    next(steps)
    results: list[nn.Module] = []
    thread = threading.Thread(target=lambda: results.append(run(steps)[0].module))
    thread.start()
    thread.join()
    assert torch.is_grad_enabled()
    expected = recalibrated(network.module, small)
    assert same_state(results[0].state_dict(), expected.state_dict())


# What it is good for


def evaluated(network: nn.Module, digits: DataSet) -> Evaluation:
    return evaluate_fully(wrap(network), digits.test_images, digits.test_labels, "fp32", CPU)


def test_an_unpruned_network_stays_about_as_good(
    trained: Checkpoint, digits: DataSet, some: Tensor
) -> None:
    accuracy = evaluated(trained.network.module, digits).accuracy
    network = recalibrated(trained.network.module, some)
    assert evaluated(network, digits).accuracy == pytest.approx(accuracy, abs=0.1)


def test_wrong_statistics_are_forgotten(trained: Checkpoint, digits: DataSet, some: Tensor) -> None:
    damaged = copy.deepcopy(trained.network)
    for name in batch_norms(damaged.module):
        mean, variance = statistics(damaged.module, name)
        mean += 2 * variance.sqrt()
        variance *= 3
    accuracy = evaluated(trained.network.module, digits).accuracy
    assert evaluated(damaged.module, digits).accuracy < accuracy - 0.2
    network = recalibrated(damaged.module, some)
    assert evaluated(network, digits).accuracy == pytest.approx(accuracy, abs=0.1)
    assert same_state(network.state_dict(), recalibrated(trained.network.module, some).state_dict())


@pytest.mark.parametrize(
    "spec",
    [PruningSpec("fine", 0.6), PruningSpec("channel", 0.2), PruningSpec("channel-mask", 0.2)],
    ids=lambda spec: spec.method,
)
def test_a_pruned_network_finds_back_accuracy(
    trained: Checkpoint, digits: DataSet, some: Tensor, spec: PruningSpec
) -> None:
    pruned = prune(trained.network, spec).network
    network = recalibrated(pruned.module, some)
    assert evaluated(network, digits).accuracy > evaluated(pruned.module, digits).accuracy + 0.05


# The images


@pytest.fixture(scope="module")
def numbered() -> DataSet:
    """1,000 training images that each say in two bytes which one they are; test images don't."""
    numbers = torch.arange(1000)
    train_images = torch.full((1000, 3, 32, 32), 7, dtype=torch.uint8)
    train_images[:, 0, 0, 0] = (numbers // 256).to(torch.uint8)
    train_images[:, 0, 0, 1] = (numbers % 256).to(torch.uint8)
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    return DataSet(
        name="numbered",
        class_names=tuple("0123456789"),
        train_images=train_images,
        train_labels=(numbers % 10)[order],
        test_images=torch.full((100, 3, 32, 32), 255, dtype=torch.uint8),
        test_labels=torch.arange(100) % 10,
        source="a test",
    )


def numbers_of(images: Tensor) -> list[int]:
    assert (images[:, 1:] == 7).all()  # of no test image
    high, low = images[:, 0, 0, 0].tolist(), images[:, 0, 0, 1].tolist()
    return [256 * first + second for first, second in zip(high, low, strict=True)]


@pytest.mark.parametrize("number", [10, 237, 1000])
def test_drawn_images_are_training_images_of_all_classes(numbered: DataSet, number: int) -> None:
    drawn = numbered.training.draw(number)
    assert (drawn.dtype, drawn.shape) == (torch.uint8, (number, 3, 32, 32))
    numbers = numbers_of(drawn)
    assert len(set(numbers)) == number
    per_class = np.bincount(numbered.train_labels[numbers].numpy(), minlength=10)
    assert per_class.max() - per_class.min() <= 1


def test_of_a_small_data_set_all_images_are_drawn(numbered: DataSet) -> None:
    drawn = numbered.training.draw(2000)
    assert sorted(numbers_of(drawn)) == list(range(1000))


def test_the_seed_decides_which_images_are_drawn(numbered: DataSet) -> None:
    first, again, other = (set(numbers_of(numbered.training.draw(100, seed))) for seed in (0, 0, 1))
    assert first == again != other


def test_the_seed_decides_the_statistics(digits: DataSet) -> None:
    network = random_network(Widths.regular(4))
    first, again, other = (
        recovered(network, Recovery("bn", 100, seed), digits, "fp32").module.state_dict()
        for seed in (3, 3, 4)
    )
    assert same_state(first, again)
    assert not same_state(first, other)


def test_test_images_are_not_looked_at(digits: DataSet) -> None:
    network = random_network(Widths.regular(4))
    recovery = Recovery("bn", 100)
    known = recovered(network, recovery, digits, "fp32").module.state_dict()
    poisoned = replace(
        digits,
        test_images=torch.full_like(digits.test_images, 255),
        test_labels=torch.full_like(digits.test_labels, 9),
    )
    assert same_state(recovered(network, recovery, poisoned, "fp32").module.state_dict(), known)
    brighter = replace(digits, train_images=digits.train_images | 128)
    assert not same_state(recovered(network, recovery, brighter, "fp32").module.state_dict(), known)


# Recoveries


def test_without_recovery_the_network_itself_comes_back(digits: DataSet) -> None:
    network = random_network(Widths.regular(1))
    result, events = run(recover(Pruned(network, ()), Recovery(), evidence(network, digits)))
    assert result is network
    assert events == []
    assert recovered(network, Recovery(), digits) is network


def test_recovering_recalibrates_on_the_images_drawn(digits: DataSet) -> None:
    network = random_network(Widths.regular(4))
    recovery = Recovery("bn", 300, seed=2)
    result, events = run(recover(Pruned(network, ()), recovery, evidence(network, digits)))
    expected = recalibrated(network.module, digits.training.draw(300, 2))
    assert same_state(result.module.state_dict(), expected.state_dict())
    assert (events[-1].done, events[-1].total) == (300, 300)


def test_a_recovered_network_is_kept_in_a_file(
    trained: Checkpoint, digits: DataSet, tmp_path: Path
) -> None:
    recovery = Recovery("bn", 300)
    pruned = prune(trained.network, PruningSpec("channel", 0.4)).network
    network = recovered(pruned, recovery, digits, "fp32")
    path = tmp_path / "recovered.safetensors"
    checkpoint.save(network, path, "digits", {"recovery": recovery.to_json()})
    loaded = checkpoint.load(path)
    assert Recovery(**loaded.metadata["recovery"]) == recovery
    assert same_state(loaded.network.module.state_dict(), network.module.state_dict())
    measured = evaluated(loaded.network.module, digits)
    assert measured.predictions.tolist() == evaluated(network.module, digits).predictions.tolist()


@pytest.mark.parametrize(
    ("recovery", "expected"),
    [
        (Recovery(), {"method": "none"}),
        (Recovery.named("none"), {"method": "none"}),
        (Recovery("bn", 500, 3), {"method": "bn", "images": 500, "seed": 3}),
    ],
)
def test_a_recovery_survives_json(recovery: Recovery, expected: dict[str, Any]) -> None:
    told = json.loads(json.dumps(recovery.to_json()))
    assert told == expected
    assert Recovery(**told) == recovery


def test_the_usual_recovery_is_named_by_its_method() -> None:
    usual = Recovery.named("bn")
    assert usual.method == "bn"
    assert usual.images >= 1000
    assert usual == Recovery.named("bn") != Recovery("bn", usual.images, seed=1)
    assert Recovery.named("none") == Recovery() == Recovery("none", 500, seed=3)


def test_what_does_not_exist_is_refused(digits: DataSet) -> None:
    for make in (Recovery, Recovery.named):
        with pytest.raises(InputError, match=r"'magic'.*none.*bn"):
            make("magic")
    network = random_network(Widths.regular(1))
    with pytest.raises(InputError, match="fp8"):
        recovered(network, Recovery.named("bn"), digits, "fp8")
    for number, seed in ((100, -1), (-1, 0)):
        with pytest.raises(InputError, match="from 0 on"):
            Recovery("bn", number, seed)
