"""A student learns what its teachers answer to the images that it sees itself."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.data.dataset import DataSet
from core.data.normalisation import CIFAR10
from core.device import best_device
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.training import EpochEnd, History, Recipe, Split, loop, train
from core.training.teaching import Teachers
from tests.small_networks import (
    Widths,
    copy_of_state,
    new_network,
    random_network,
    same_state,
    wrap,
)

RECIPE = Recipe(epochs=2, batch_size=64, flip=False, label_smoothing=0.1)
CPU = torch.device("cpu")


def test_targets_are_the_mean_of_the_probabilities(trained: Checkpoint, digits: DataSet) -> None:
    other = random_network(Widths.regular(4), seed=3)
    images = CIFAR10.apply(digits.test_images[:64])
    with torch.no_grad():
        expected = sum(m.module.eval()(images).softmax(1) for m in (trained.network, other)) / 2
    targets = Teachers([trained.network, other], CPU).targets(images)
    assert targets.dtype == torch.float32
    assert not targets.requires_grad
    torch.testing.assert_close(targets, expected, atol=0.03, rtol=0)  # in bf16, where it is native


def test_teachers_that_mirror_answer_both_sides(trained: Checkpoint, digits: DataSet) -> None:
    images = CIFAR10.apply(digits.test_images[:64])
    model = trained.network.module.eval()
    with torch.no_grad():
        expected = (model(images).softmax(1) + model(images.flip(dims=[-1])).softmax(1)) / 2
        as_they_are = model(images).softmax(1)
    targets = Teachers([trained.network], CPU, mirror=True).targets(images)
    torch.testing.assert_close(targets, expected, atol=0.03, rtol=0)
    assert (targets - as_they_are).abs().max() > 0.1  # a mirrored digit is another one


def test_a_recipe_says_whether_teachers_mirror(trained: Checkpoint, split: Split) -> None:
    weights = []
    for mirror in (False, True):
        model = new_network()
        recipe = replace(RECIPE, epochs=1, mirror_teachers=mirror)
        list(train(model, split, recipe, 0, History(), teachers=[trained.network]))
        weights.append(copy_of_state(model.module))
    assert not same_state(*weights)


def test_teachers_are_left_as_they_are(trained: Checkpoint, split: Split) -> None:
    before, mode = copy_of_state(trained.network.module), trained.network.module.training
    list(train(new_network(), split, RECIPE, 0, History(), teachers=[trained.network]))
    assert same_state(trained.network.module.state_dict(), before)
    assert trained.network.module.training == mode


def test_the_loss_is_against_the_teachers_on_the_students_own_images(
    trained: Checkpoint, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    class Noting(Teachers):
        def targets(self, inputs: Tensor) -> Tensor:
            seen.append(inputs.clone())
            return super().targets(inputs)

    class Student(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = new_network().module
            self.given: list[Tensor] = []
            self.answers: list[Tensor] = []

        def forward(self, inputs: Tensor) -> Tensor:
            answer: Tensor = self.network(inputs)
            if self.training:
                self.given.append(inputs.clone())
                self.answers.append(answer.detach().float())
            return answer

    monkeypatch.setattr(loop, "Teachers", Noting)
    monkeypatch.setattr(loop, "evaluate_fully", lambda *_, **__: FakeEvaluation)
    student, history = Student(), History()
    list(train(wrap(student), split, RECIPE, 0, history, teachers=[trained.network]))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(student.given, seen, strict=True))
    answers = Teachers([trained.network], best_device())
    losses = [
        F.cross_entropy(logits, answers.targets(inputs)).item()
        for logits, inputs in zip(student.answers, student.given, strict=True)
    ]
    steps = len(split.labels) // RECIPE.batch_size
    assert history.epochs[0]["loss"] == pytest.approx(sum(losses[:steps]) / steps, rel=1e-4)


class FakeEvaluation:
    correct, seen = 1, 100


def test_a_student_of_a_good_teacher_learns_without_labels(
    trained: Checkpoint, digits: DataSet
) -> None:
    images = digits.train_images[:1000]
    nothing = torch.zeros_like(digits.train_labels[:1000])
    split = Split(images, nothing, digits.test_images, digits.test_labels)
    recipe = Recipe(epochs=4, batch_size=32, flip=False)
    events = list(train(new_network(), split, recipe, 0, History(), teachers=[trained.network]))
    last = events[-1]
    assert isinstance(last, EpochEnd)
    assert last.correct / last.seen > 0.4  # a guess is right about 0.1, and the labels are all 0


def test_a_training_goes_on_with_its_own_teachers_alone(
    trained: Checkpoint, split: Split, tmp_path: Path
) -> None:
    other = random_network(Widths.regular(4), seed=3)

    def weights(teacher: Network, state: Path | None = None, epochs: int = 2) -> dict[str, Tensor]:
        model = new_network()
        for _ in ends(train(model, split, RECIPE, 0, History(), state, teachers=[teacher]), epochs):
            pass
        return copy_of_state(model.module)

    whole, of_other = weights(trained.network), weights(other)
    state = tmp_path / "some.resume"
    weights(trained.network, state, epochs=1)
    kept = state.read_bytes()
    assert all(torch.equal(each, whole[n]) for n, each in weights(trained.network, state).items())
    state.write_bytes(kept)
    assert all(torch.equal(each, of_other[n]) for n, each in weights(other, state).items())


def ends(events: Iterator[object], number: int) -> Iterator[EpochEnd]:
    """The first ends of epochs; what follows is dropped."""
    for event in events:
        if isinstance(event, EpochEnd):
            yield event
            if event.epoch == number and number < RECIPE.epochs:
                return
