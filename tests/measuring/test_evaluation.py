"""Evaluation against a plain loop, and what its events promise."""

import copy
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core import paths
from core.data.dataset import DataSet, subset_indices
from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.measuring.evaluation import BATCH_SIZES, evaluate, evaluate_fully
from core.measuring.outcome import Evaluation
from core.measuring.statistics import wilson_interval
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.inference import for_inference
from core.networks.network import Network
from core.training import History, Split, default_recipe, train
from tests.environment import needs_native_bf16
from tests.small_networks import (
    copy_of_state,
    images,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
    randomise,
    same_state,
    wrap,
)

CPU = torch.device("cpu")
SHIPPED = paths.CHECKPOINTS / "resnet18-cifar10-5ep.safetensors"
NUMBER = 250  # images: two batches of 100 and a smaller one


@pytest.fixture(scope="module")
def network(trained: Checkpoint) -> Network:
    return copy.deepcopy(trained.network)


@pytest.fixture(scope="module")
def events(network: Network, digits: DataSet) -> list[Evaluation]:
    images, labels = digits.test_images[:NUMBER], digits.test_labels[:NUMBER]
    return list(evaluate(network, images, labels, "fp32", CPU))


def plain_loop(network: Network, digits: DataSet) -> tuple[list[int], list[float]]:
    """Predictions and cross-entropies, one image at a time."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CIFAR10.mean, CIFAR10.std))
    predictions, losses = [], []
    with torch.no_grad():
        for image, label in zip(
            digits.test_images[:NUMBER], digits.test_labels[:NUMBER], strict=True
        ):
            logits = network.module(((image / 255 - mean) / std).unsqueeze(0))[0].tolist()
            predictions.append(int(np.argmax(logits)))
            losses.append(float(np.logaddexp.reduce(logits) - logits[int(label)]))
    return predictions, losses


def test_the_last_event_equals_a_plain_loop(
    network: Network, digits: DataSet, events: list[Evaluation]
) -> None:
    predictions, losses = plain_loop(network, digits)
    assert events[-1].predictions.tolist() == predictions
    assert events[-1].loss == pytest.approx(sum(losses) / NUMBER, rel=1e-4)
    assert len(set(predictions)) == 10  # else the comparison would show little
    assert 0.5 < events[-1].accuracy < 1


def test_events_are_nested_and_grow_to_the_whole(events: list[Evaluation]) -> None:
    assert [event.seen for event in events] == [100, 200, 250]
    assert [event.is_complete for event in events] == [False, False, True]
    assert all(event.total == NUMBER for event in events)
    for earlier, later in pairwise(events):
        np.testing.assert_array_equal(later.predictions[: earlier.seen], earlier.predictions)
        np.testing.assert_array_equal(later.labels[: earlier.seen], earlier.labels)
        assert later.loss_sum > earlier.loss_sum


def test_accuracy_is_the_count_over_the_stored_predictions(
    events: list[Evaluation], digits: DataSet
) -> None:
    for event in events:
        labels = digits.test_labels[: event.seen].tolist()
        correct = sum(a == b for a, b in zip(event.predictions.tolist(), labels, strict=True))
        assert event.correct == correct
        assert event.accuracy == correct / event.seen
        assert event.interval == wilson_interval(correct, event.seen)


def test_per_class_counts_add_up(events: list[Evaluation]) -> None:
    for event in events:
        correct, seen = event.per_class(10)
        assert correct.shape == seen.shape == (10,)
        assert (correct <= seen).all()
        assert (correct.sum(), seen.sum()) == (event.correct, event.seen)
        for label in range(10):
            of_class = event.labels == label
            assert seen[label] == of_class.sum()
            assert correct[label] == (event.predictions[of_class] == label).sum()


def test_a_kept_event_does_not_change_later(network: Network, digits: DataSet) -> None:
    steps = evaluate(network, digits.test_images[:NUMBER], digits.test_labels[:NUMBER], "fp32", CPU)
    first = next(steps)
    before = first.predictions.copy()
    for _ in steps:
        pass
    np.testing.assert_array_equal(first.predictions, before)
    assert (first.seen, first.total) == (100, NUMBER)


def test_the_batch_size_of_a_device_makes_no_difference(
    network: Network,
    digits: DataSet,
    events: list[Evaluation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert min(BATCH_SIZES, key=lambda device: BATCH_SIZES[device]) == "cpu"
    images, labels = digits.test_images[:NUMBER], digits.test_labels[:NUMBER]
    monkeypatch.setitem(BATCH_SIZES, "cpu", BATCH_SIZES["mps"])
    (last,) = evaluate(network, images, labels, "fp32", CPU)
    np.testing.assert_array_equal(last.predictions, events[-1].predictions)
    assert last.loss == pytest.approx(events[-1].loss, rel=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_untouched(
    network: Network, digits: DataSet, precision: str, training: bool
) -> None:
    network.module.train(training)
    try:
        before = copy_of_state(network.module)
        evaluate_fully(network, digits.test_images[:20], digits.test_labels[:20], precision, CPU)
        assert same_state(network.module.state_dict(), before)
        assert network.module.training is training
        assert all(parameter.grad_fn is None for parameter in network.module.parameters())
    finally:
        network.module.eval()


def test_a_network_in_training_mode_is_evaluated_in_eval_mode(
    network: Network, digits: DataSet, events: list[Evaluation]
) -> None:
    network.module.train()
    try:
        images, labels = digits.test_images[:NUMBER], digits.test_labels[:NUMBER]
        result = evaluate_fully(network, images, labels, "fp32", CPU)
    finally:
        network.module.eval()
    np.testing.assert_array_equal(result.predictions, events[-1].predictions)


def test_dropping_it_midway_is_harmless(
    network: Network, digits: DataSet, events: list[Evaluation]
) -> None:
    before = copy_of_state(network.module)
    images, labels = digits.test_images[:NUMBER], digits.test_labels[:NUMBER]
    steps: Iterator[Evaluation] = evaluate(network, images, labels, "fp32", CPU)
    next(steps)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    del steps
    assert not torch.is_inference_mode_enabled()
    assert same_state(network.module.state_dict(), before)
    again = evaluate_fully(network, images, labels, "fp32", CPU)
    np.testing.assert_array_equal(again.predictions, events[-1].predictions)


def test_events_may_be_drawn_from_different_threads(
    network: Network, digits: DataSet, events: list[Evaluation]
) -> None:
    images, labels = digits.test_images[:NUMBER], digits.test_labels[:NUMBER]
    steps = evaluate(network, images, labels, "fp32", CPU)
    drawn = [next(steps)]
    for _ in range(2):
        thread = threading.Thread(target=lambda: drawn.append(next(steps)))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(drawn[-1].predictions, events[-1].predictions)
    assert torch.is_grad_enabled()


def test_no_images_and_an_unknown_precision_are_refused(network: Network, digits: DataSet) -> None:
    images, labels = digits.test_images, digits.test_labels
    with pytest.raises(InputError, match="no images"):
        next(evaluate(network, images[:0], labels[:0]))
    with pytest.raises(InputError, match="fp8"):
        next(evaluate(network, images, labels, "fp8"))


def in_both_precisions(
    network: Network, images: Tensor, labels: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """What fp32 and what bf16 predict."""
    fp32, bf16 = (
        evaluate_fully(network, images, labels, precision, CPU) for precision in ("fp32", "bf16")
    )
    assert fp32.loss != bf16.loss  # they are two computations
    return fp32.predictions, bf16.predictions


def test_bf16_and_fp32_differ_about_near_ties_alone(network: Network, digits: DataSet) -> None:
    """How many digits are near ties depends on the processor that the network is trained on."""
    fp32, bf16 = in_both_precisions(network, digits.test_images, digits.test_labels)
    with torch.no_grad():
        first, second = network.module(CIFAR10.apply(digits.test_images)).topk(2).values.T.numpy()
    margin = first - second
    assert (margin[fp32 != bf16] < np.quantile(margin, 0.2)).all()


@needs_native_bf16
def test_bf16_agrees_with_fp32_about_99_of_100_cifar10_images(cifar10: DataSet) -> None:
    model = checkpoint.load(SHIPPED, "cifar10").network
    chosen = subset_indices(cifar10.test_labels, 500)
    fp32, bf16 = in_both_precisions(model, cifar10.test_images[chosen], cifar10.test_labels[chosen])
    assert (fp32 == bf16).mean() >= 0.99


class TwoUses(nn.Module):
    """Neither batch-norm can be folded into its convolution: each has a second use."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.batch_norm = nn.BatchNorm2d(8)
        self.shared = nn.Conv2d(8, 8, 1)
        self.first = nn.BatchNorm2d(8)
        self.second = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x + self.batch_norm(x)
        result: Tensor = self.second(self.shared(self.first(self.shared(x)))).mean((2, 3))
        return result


@pytest.mark.parametrize("make", [random_resnet, random_vgg, random_bottleneck_resnet, TwoUses])
def test_the_copy_for_inference_computes_the_same(make: Callable[[], nn.Module]) -> None:
    """To 1e-4 of the largest logit, in fp32, whatever is folded."""
    network = make()
    randomise(network, seed=0)
    with torch.inference_mode():
        expected = network(images())
        logits = for_inference(wrap(network), CPU, "fp32")(images())
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


class ContiguousHead(nn.Module):
    """Views its feature map as rows, which a channels_last tensor refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4 * 32 * 32, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv(x).relu().view(x.size(0), -1))
        return logits


def test_a_forward_that_needs_contiguous_tensors_is_evaluated_and_trained(digits: DataSet) -> None:
    module = ContiguousHead()
    randomise(module, seed=0)
    network = wrap(module, 32)
    assert not network.runs_channels_last
    assert wrap(random_resnet()).runs_channels_last
    images, labels = digits.test_images[:150], digits.test_labels[:150]
    with torch.inference_mode():
        expected = module(CIFAR10.apply(images).contiguous()).argmax(1).numpy()
    found = evaluate_fully(network, images, labels, "fp32", CPU)
    np.testing.assert_array_equal(found.predictions, expected)
    split = Split(digits.train_images[:128], digits.train_labels[:128], images, labels)
    recipe = default_recipe("digits", 1, "sgd")
    history = History()
    list(train(network, split, recipe, 0, history, device=CPU, teachers=[wrap(module, 32)]))
    assert len(history.epochs) == 1
