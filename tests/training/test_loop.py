"""Training learns, tells of its progress truly, repeats itself, and survives being killed."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.data.dataset import DataSet
from core.data.loading import load
from core.data.normalisation import CIFAR10
from core.errors import InputError
from core.measuring.evaluation import evaluate_fully
from core.networks.batch_norm import finished, recalibrate
from core.networks.checkpoint import Checkpoint
from core.networks.fresh import Plan
from core.networks.signature import Signature
from core.specs.architecture import Architecture
from core.training import EpochEnd, History, Recipe, Split, Step, loop, muon, train
from core.training.augment import Augmenter
from tests.conftest import Child
from tests.small_networks import new_network

RECIPE = Recipe(epochs=3, batch_size=64, flip=False)
SEED = 1
Events = list[Step | EpochEnd]


def small_split(dataset: DataSet) -> Split:
    return Split(
        dataset.train_images[:200],
        dataset.train_labels[:200],
        dataset.test_images[:100],
        dataset.test_labels[:100],
    )


@pytest.fixture(scope="module")
def split(digits: DataSet) -> Split:
    return small_split(digits)


def trained_weights(
    split: Split, recipe: Recipe = RECIPE, seed: int = SEED, resume_file: Path | None = None
) -> dict[str, Tensor]:
    model = new_network()
    list(train(model, split, recipe, seed, History(), resume_file))
    return model.module.state_dict()


@pytest.fixture(scope="module")
def uninterrupted(split: Split) -> dict[str, Tensor]:
    return trained_weights(split)


def are_bitwise_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


def test_a_narrow_network_learns_the_digits(trained: Checkpoint) -> None:
    first, last = trained.metadata["history"]["epochs"]
    assert last["loss"] < first["loss"] < 2.5
    assert last["accuracy"] > first["accuracy"]
    assert last["correct"] / last["seen"] > 0.5  # a guess is right about 0.1


def test_sgd_learns_too(digits: DataSet) -> None:
    recipe = Recipe(epochs=2, optimiser="sgd", learning_rate=0.1, batch_size=32, flip=False)
    events = train(new_network(), Split.holding_out(digits, 300), recipe, SEED, History())
    first, last = (event for event in events if isinstance(event, EpochEnd))
    assert last.loss < first.loss - 0.1
    assert last.correct / last.seen > 0.2  # a guess is right about 0.1


@pytest.mark.parametrize(
    ("name", "spared"),
    [
        ("resnet56", {"fc"}),
        ("mobilenet_v2", {"depthwise", "classifier.1"}),
        ("torchvision:squeezenet1_1", {"all"}),  # without batch-norm
    ],
)
def test_muon_spares_what_no_batch_norm_scales_and_what_has_one_input(
    split: Split, monkeypatch: pytest.MonkeyPatch, name: str, spared: set[str]
) -> None:
    given: list[nn.Parameter] = []

    class Recorded(muon.Muon):
        def __init__(self, parameters: Iterable[nn.Parameter], *rest: Any):
            given.extend(parameters)
            super().__init__(given, *rest)

    monkeypatch.setattr(loop, "Muon", Recorded)
    width = None if ":" in name else 4
    network = Plan(Signature(Architecture(name), 10, 32, CIFAR10), width).build(seed=0)
    next(train(network, split, RECIPE, SEED, History()))
    left = {
        layer
        for layer, each in network.layers.items()
        if not any(each.weight is parameter for parameter in given)
    }
    expected = {
        layer
        for layer, each in network.layers.items()
        if layer in spared
        or "all" in spared
        or ("depthwise" in spared and isinstance(each, nn.Conv2d) and each.groups > 1)
    }
    assert left == expected


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_muon_orthogonalises_in_what_the_device_computes_fast(
    split: Split, monkeypatch: pytest.MonkeyPatch, precision: str, dtype: torch.dtype
) -> None:
    seen: set[torch.dtype] = set()
    plain = muon.orthogonalise

    def recorded(matrix: Tensor, dtype: torch.dtype) -> Tensor:
        seen.add(dtype)
        return plain(matrix, dtype)

    monkeypatch.setattr(loop, "resolve_precision", lambda *_: precision)
    monkeypatch.setattr(muon, "orthogonalise", recorded)
    next(train(new_network(), split, RECIPE, SEED, History()))
    assert seen == {dtype}


def test_the_same_seed_ends_in_the_same_weights_bitwise(
    split: Split, uninterrupted: dict[str, Tensor]
) -> None:
    assert are_bitwise_equal(trained_weights(split), uninterrupted)


def test_each_epoch_draws_an_order_of_its_own(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: dict[int, list[int]] = {0: [], 1: [], 2: []}

    class Spy(Augmenter):
        def batch(self, rows: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
            orders[epoch] += rows.tolist()
            return super().batch(rows, epoch, generator)

    monkeypatch.setattr(loop, "Augmenter", Spy)
    trained_weights(split)
    for order in orders.values():
        assert len(set(order)) == len(order) == 3 * 64  # no image twice
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_a_training_that_goes_on_from_weights_draws_what_comes_next(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []

    class Spy(Augmenter):
        def batch(self, rows: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
            drawn.append(super().batch(rows, epoch, generator))
            return drawn[-1]

    monkeypatch.setattr(loop, "Augmenter", Spy)
    recipe = replace(RECIPE, flip=True, translate=2, cutout=6)
    list(train(new_network(), split, recipe, SEED, History()))
    at_once, drawn = drawn, []
    for epochs, before in ((1, 0), (2, 1)):
        part = replace(recipe, epochs=epochs)
        list(train(new_network(), split, part, SEED, History(), epochs_before=before))
    assert len(drawn) == len(at_once) == 3 * 3
    assert all(torch.equal(one, other) for one, other in zip(drawn, at_once, strict=True))


def test_another_seed_ends_in_other_weights(split: Split, uninterrupted: dict[str, Tensor]) -> None:
    assert not are_bitwise_equal(trained_weights(split, seed=SEED + 1), uninterrupted)


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_EVENTS", 0.0)


@pytest.mark.usefixtures("every_step")
class TestEvents:
    @pytest.fixture
    def events(self, split: Split) -> Events:
        return list(train(new_network(), split, RECIPE, SEED, History()))

    def test_steps_count_up_and_epochs_end_in_between(self, events: Events) -> None:
        expected = []
        for epoch in (1, 2, 3):
            expected += [("step", epoch, 3 * (epoch - 1) + step) for step in (1, 2, 3)]
            expected.append(("end", epoch, 0))
        assert expected == [
            ("step", event.epoch, event.step)
            if isinstance(event, Step)
            else ("end", event.epoch, 0)
            for event in events
        ]
        assert {event.epochs for event in events} == {3}

    def test_steps_say_what_is_so(self, events: Events) -> None:
        steps = [event for event in events if isinstance(event, Step)]
        for event in steps:
            assert event.steps == 9  # of 200 images, 3 batches of 64 an epoch
            assert math.isfinite(event.loss)
            assert event.accuracy in [right / 64 for right in range(65)]
            assert event.images_per_second > 0
            factor = RECIPE.rate_factor((event.step - 1) / 9)
            assert event.learning_rate == pytest.approx(RECIPE.learning_rate * factor)
            assert (event.seconds_left == 0) == (event.step == 9)
            assert event.seconds_left >= 0

    def test_an_epochs_end_sums_its_steps_up(self, events: Events) -> None:
        for end in (event for event in events if isinstance(event, EpochEnd)):
            steps = [event for event in events if isinstance(event, Step)]
            own = [step for step in steps if step.epoch == end.epoch]
            assert end.loss == pytest.approx(sum(step.loss for step in own) / 3, rel=1e-5)
            assert end.accuracy == pytest.approx(sum(step.accuracy for step in own) / 3)
            assert end.seconds > 0

    def test_fewer_images_than_a_batch_are_one_batch(self, split: Split) -> None:
        few = replace(split, images=split.images[:40], labels=split.labels[:40])
        for step, end in pairs(list(train(new_network(), few, RECIPE, SEED, History()))):
            assert step.accuracy in [right / 40 for right in range(41)]
            assert end.accuracy == pytest.approx(step.accuracy)


def pairs(events: Events) -> Iterator[tuple[Step, EpochEnd]]:
    for step, end in zip(events[::2], events[1::2], strict=True):
        assert isinstance(step, Step)
        assert isinstance(end, EpochEnd)
        yield step, end


def test_an_epochs_end_has_the_validation_accuracy_of_its_weights(split: Split) -> None:
    model = new_network()
    for event in train(model, split, RECIPE, SEED, History()):
        if isinstance(event, EpochEnd):
            measured = evaluate_fully(model, split.validation_images, split.validation_labels)
            assert (event.correct, event.seen) == (measured.correct, 100)


def test_the_history_has_an_entry_an_epoch_and_a_curve(split: Split) -> None:
    history = History()
    model = new_network()
    ends = [
        event for event in train(model, split, RECIPE, SEED, history) if isinstance(event, EpochEnd)
    ]
    assert [entry["epoch"] for entry in history.epochs] == [1, 2, 3]
    assert [EpochEnd(**entry) for entry in history.epochs] == ends  # type: ignore[arg-type]
    assert [done for done, *_ in history.curve] == pytest.approx(
        [n / 3 for n in range(1, 10)], abs=1e-4
    )
    for index, end in enumerate(ends):
        losses = [loss for _, loss, _ in history.curve[3 * index : 3 * index + 3]]
        assert sum(losses) / 3 == pytest.approx(end.loss, abs=1e-3)
    assert not model.module.training


# Interruption


def test_a_finished_training_leaves_a_state_that_ends_it_at_once(
    split: Split, uninterrupted: dict[str, Tensor], tmp_path: Path
) -> None:
    """As when a process is killed between the last epoch and the checkpoint."""
    state = tmp_path / "state"
    trained_weights(split, resume_file=state)
    model, history = new_network(), History()
    assert list(train(model, split, RECIPE, SEED, history, state)) == []
    assert are_bitwise_equal(model.module.state_dict(), uninterrupted)
    assert len(history.epochs) == 3
    assert not model.module.training


@pytest.mark.parametrize("epochs_done", [0, 1, 2])
def test_a_dropped_training_goes_on_from_its_last_finished_epoch(
    split: Split, uninterrupted: dict[str, Tensor], tmp_path: Path, epochs_done: int
) -> None:
    state = tmp_path / "state"
    dropped = train(new_network(), split, RECIPE, SEED, History(), state)
    for event in dropped:
        if isinstance(event, Step) and event.epoch == epochs_done + 1:
            break  # within an epoch, whose steps are lost
    del dropped

    model, history = new_network(), History()
    events = list(train(model, split, RECIPE, SEED, history, state))
    assert events[0].epoch == epochs_done + 1
    assert are_bitwise_equal(model.module.state_dict(), uninterrupted)
    assert [entry["epoch"] for entry in history.epochs] == [1, 2, 3]
    assert len(history.curve) == 9


def train_in(folder: Path) -> Iterator[Step | EpochEnd]:
    yield from train(
        new_network(), small_split(load("digits")), RECIPE, SEED, History(), folder / "state"
    )


def test_a_killed_training_goes_on_from_its_last_finished_epoch(
    split: Split,
    uninterrupted: dict[str, Tensor],
    tmp_path: Path,
    start: Callable[[Callable[[Path], Iterable[Any]], Path], Child],
) -> None:
    child = start(train_in, tmp_path)
    for event in child.events():
        if event.epoch == 2:
            child.kill()
            break
    assert isinstance(event, Step)

    model = new_network()
    events = list(train(model, split, RECIPE, SEED, History(), tmp_path / "state"))
    assert events[0].epoch == 2
    assert are_bitwise_equal(model.module.state_dict(), uninterrupted)


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, average=2, cutout=8)], ids=str)
def test_a_training_goes_on_from_the_last_step_that_was_kept(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_EVENTS", 0)
    whole, history = new_network(), History()
    list(train(whole, split, recipe, SEED, history))
    for event in train(new_network(), split, recipe, SEED, History(), tmp_path / "state"):
        if isinstance(event, Step) and (event.epoch, event.step) == (2, 5):
            break
    model, resumed = new_network(), History()
    first, *_ = train(model, split, recipe, SEED, resumed, tmp_path / "state")
    assert isinstance(first, Step)
    assert (first.epoch, first.step, first.steps) == (2, 6, 9)
    assert are_bitwise_equal(model.module.state_dict(), whole.module.state_dict())
    assert resumed.curve == history.curve
    assert [each["loss"] for each in resumed.epochs] == [each["loss"] for each in history.epochs]


class TestAStateThatDoesNotFit:
    """It is ignored: training starts over and ends as if there were none."""

    @pytest.fixture
    def state(self, split: Split, tmp_path: Path) -> Path:
        path = tmp_path / "state"
        for event in train(new_network(), split, RECIPE, SEED, History(), path):
            if isinstance(event, EpochEnd):
                break
        return path

    @pytest.mark.parametrize(
        "other", [replace(RECIPE, epochs=4), replace(RECIPE, optimiser="sgd")], ids=str
    )
    def test_of_another_recipe(self, split: Split, state: Path, other: Recipe) -> None:
        assert are_bitwise_equal(
            trained_weights(split, other, resume_file=state), trained_weights(split, other)
        )

    def test_of_another_seed(self, split: Split, state: Path) -> None:
        assert are_bitwise_equal(
            trained_weights(split, seed=7, resume_file=state), trained_weights(split, seed=7)
        )

    @pytest.mark.parametrize("name", ["images", "labels"])
    def test_of_other_images(self, split: Split, state: Path, name: str) -> None:
        other = replace(split, **{name: getattr(split, name).flip(0)})
        assert are_bitwise_equal(trained_weights(other, resume_file=state), trained_weights(other))

    def test_of_another_width(self, split: Split, state: Path) -> None:
        first = next(train(new_network(width=5), split, RECIPE, SEED, History(), state))
        assert first.epoch == 1

    @pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.999])
    def test_damaged(
        self, split: Split, uninterrupted: dict[str, Tensor], state: Path, part: float
    ) -> None:
        content = state.read_bytes()
        state.write_bytes(content[: int(part * len(content))])
        assert are_bitwise_equal(trained_weights(split, resume_file=state), uninterrupted)

    def test_foreign(self, split: Split, uninterrupted: dict[str, Tensor], state: Path) -> None:
        state.write_text("something else\n" * 1000)
        assert are_bitwise_equal(trained_weights(split, resume_file=state), uninterrupted)


# What trains and what validates


def as_set(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


# The average of weights


AVERAGING = replace(RECIPE, schedule="constant", average=2)


def test_the_last_epochs_weights_are_averaged_step_by_step(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_EVENTS", 0.0)  # an event after each step
    model = new_network()
    passed: list[dict[str, Tensor]] = []
    for event in train(model, split, AVERAGING, SEED, History()):
        if isinstance(event, Step) and event.epoch > RECIPE.epochs - AVERAGING.average:
            passed.append(
                {name: p.detach().double() for name, p in model.module.named_parameters()}
            )
    assert len(passed) == AVERAGING.average * (len(split.labels) // RECIPE.batch_size)
    for name, parameter in model.module.named_parameters():
        mean = torch.stack([weights[name] for weights in passed]).mean(0)
        assert torch.allclose(parameter.double(), mean, atol=1e-6), name
        assert not torch.equal(parameter.double(), passed[-1][name]), name


def test_an_averaged_network_has_statistics_of_its_own(split: Split) -> None:
    model = new_network()
    list(train(model, split, AVERAGING, SEED, History()))
    recalibrated = finished(recalibrate(model, split.images))
    assert are_bitwise_equal(model.module.state_dict(), recalibrated.module.state_dict())


def test_what_is_validated_is_the_average(split: Split) -> None:
    model, history = new_network(), History()
    list(train(model, split, AVERAGING, SEED, history))
    measured = evaluate_fully(model, split.validation_images, split.validation_labels)
    assert history.epochs[-1]["correct"] == measured.correct


def test_a_training_that_averages_goes_on_as_if_it_had_not_stopped(
    split: Split, tmp_path: Path
) -> None:
    whole = trained_weights(split, AVERAGING)
    state = tmp_path / "some.resume"
    for event in train(new_network(), split, AVERAGING, SEED, History(), state):
        if isinstance(event, EpochEnd) and event.epoch == 2:
            break
    assert are_bitwise_equal(trained_weights(split, AVERAGING, resume_file=state), whole)


def test_held_out_images_are_stratified_and_do_not_train(digits: DataSet) -> None:
    split = Split.holding_out(digits, 200)
    assert (len(split.labels), len(split.validation_labels)) == (1097, 200)
    counts = torch.bincount(split.validation_labels).tolist()
    assert max(counts) - min(counts) <= 1
    assert not as_set(split.images) & as_set(split.validation_images)
    together = as_set(split.images) | as_set(split.validation_images)
    assert together == as_set(digits.train_images)


def test_with_nothing_held_out_all_training_images_train(digits: DataSet) -> None:
    split = Split.holding_out(digits, 0)
    assert torch.equal(split.images, digits.train_images)
    assert as_set(split.validation_images) == as_set(digits.test_images)


@pytest.mark.parametrize("held_out", [-1, 9, 649])
def test_an_impossible_number_to_hold_out_is_refused(digits: DataSet, held_out: int) -> None:
    with pytest.raises(InputError, match=rf"{held_out} images cannot be .+\.$"):
        Split.holding_out(digits, held_out)
