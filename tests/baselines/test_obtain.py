"""A baseline is trained once, whoever asks, and whatever gets killed on the way."""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import torch

from core.baselines import obtain as obtaining
from core.baselines.obtain import Waiting, obtain
from core.baselines.request import Request
from core.baselines.shelf import available
from core.data.dataset import DataSet
from core.data.loading import load
from core.errors import InputError
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint, CheckpointError
from core.networks.metadata import earlier_trainings
from core.networks.network import Network
from core.pruning import prune
from core.specs.pruning import PruningSpec
from core.training import EpochEnd, Recipe, Step, default_recipe, train
from tests.conftest import Child, full_disk

Start = Callable[[Callable[[Path], Iterable[Any]], Path], Child]


def tiny_request(dataset: DataSet) -> Request:
    """Two epochs over 200 of the digits, at width 4."""
    few = replace(
        dataset, train_images=dataset.train_images[:200], train_labels=dataset.train_labels[:200]
    )
    return Request(few, default_recipe("digits", epochs=2), width=4)


@pytest.fixture(scope="module")
def request_(digits: DataSet) -> Request:
    return tiny_request(digits)


def obtained(request: Request, **options: Any) -> Checkpoint:
    *_, found = obtain(request, **options)
    assert isinstance(found, Checkpoint)
    return found


@pytest.fixture(scope="module")
def known(request_: Request, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """What the request ends in when nothing comes between."""
    return obtained(request_, folder=tmp_path_factory.mktemp("known"))


@pytest.fixture
def training_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("it was trained again")

    monkeypatch.setattr(obtaining, "train", refuse)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Once


def test_a_baseline_is_trained_once_and_then_loaded(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = list(obtain(request_, folder=tmp_path))
    assert [event.epoch for event in events if isinstance(event, EpochEnd)] == [1, 2]
    first = events[-1]
    assert isinstance(first, Checkpoint)
    assert first.path == tmp_path / "local" / "resnet18-digits-2ep-w4.safetensors"

    monkeypatch.setattr(obtaining, "train", lambda *_, **__: pytest.fail("it was trained again"))
    (second,) = obtain(request_, folder=tmp_path)
    assert isinstance(second, Checkpoint)
    assert second.fingerprint == first.fingerprint


def test_nothing_but_the_checkpoint_and_its_lock_stays(known: Checkpoint) -> None:
    folder = known.path.parent
    (stays,) = folder.glob("*.safetensors")
    assert stays.name == "resnet18-digits-2ep-w4.safetensors"
    (lock,) = (folder / "training").iterdir()
    assert lock.name.startswith("resnet18-digits-2ep-w4-")
    assert lock.suffix == ".lock"


@pytest.mark.usefixtures("training_fails")
def test_a_baseline_that_ships_is_loaded(
    request_: Request, known: Checkpoint, tmp_path: Path
) -> None:
    shutil.copy(known.path, tmp_path)
    assert obtained(request_, folder=tmp_path).path == tmp_path / known.path.name


def test_the_metadata_tells_how_it_came_about(
    small_request: Request, trained: Checkpoint, digits: DataSet
) -> None:
    metadata = trained.metadata
    assert metadata["kind"] == "baseline"
    assert Recipe(**metadata["recipe"]) == small_request.recipe
    assert (metadata["epochs"], metadata["seed"], metadata["held_out"]) == (2, 0, 0)
    assert metadata["data"] == {"source": "digits", "fingerprint": digits.fingerprint}
    assert metadata["versions"]["torch"] == torch.__version__
    assert len(metadata["history"]["epochs"]) == 2


def test_the_recorded_accuracy_is_that_of_the_file(trained: Checkpoint, digits: DataSet) -> None:
    measured = evaluate_fully(trained.network, digits.test_images, digits.test_labels)
    assert trained.metadata["accuracy"]["correct"] == measured.correct
    assert trained.metadata["accuracy"]["seen"] == measured.seen == 500


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "resnet18-digits-2ep-w4.safetensors"),
        ({"width": 64}, "resnet18-digits-2ep.safetensors"),
        ({"seed": 3}, "resnet18-digits-2ep-w4-seed3.safetensors"),
        ({"held_out": 20}, "resnet18-digits-2ep-w4-held20.safetensors"),
        (
            {"recipe": Recipe(epochs=7, optimiser="sgd")},
            "resnet18-digits-7ep-sgd-w4.safetensors",
        ),
    ],
)
def test_departures_from_the_usual_are_in_the_name(
    request_: Request, changes: dict[str, Any], name: str
) -> None:
    assert replace(request_, **changes).file_name() == name


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30, 1.0, True])
def test_an_impossible_seed_is_refused_in_a_sentence(request_: Request, seed: Any) -> None:
    with pytest.raises(InputError, match=r"^The seed must be a whole number .+\.$"):
        replace(request_, seed=seed)


# The file asked for


def test_the_file_asked_for_is_written_and_later_loaded(
    request_: Request, known: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "mine.safetensors"
    assert obtained(request_, out=out, folder=tmp_path / "work").fingerprint == known.fingerprint
    assert available("digits", tmp_path / "work") == []
    monkeypatch.setattr(obtaining, "train", lambda *_, **__: pytest.fail("it was trained again"))
    assert obtained(request_, out=out, folder=tmp_path / "work").path == out


def test_asked_to_overwrite_it_is_trained_again(
    request_: Request, known: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    out.write_text("something else")
    events = list(obtain(request_, out, overwrite=True, folder=tmp_path))
    assert len([event for event in events if isinstance(event, EpochEnd)]) == 2
    assert checkpoint.load(out).fingerprint == known.fingerprint


def pruned_file(known: Checkpoint, path: Path) -> None:
    network = prune(known.network, PruningSpec("fine", 0.5)).network
    checkpoint.save(network, path, "digits", {**known.metadata, "kind": "pruned"})


@pytest.mark.usefixtures("training_fails")
class TestAFileThatIsSomethingElse:
    """It is refused in a sentence that names it, and left as it was."""

    @pytest.fixture
    def out(self, known: Checkpoint, tmp_path: Path) -> Path:
        return Path(shutil.copy(known.path, tmp_path / "out.safetensors"))

    def assert_refused(self, request: Request, out: Path) -> None:
        before = out.read_bytes()
        with pytest.raises(CheckpointError) as caught:
            obtained(request, out=out, folder=out.parent / "work")
        assert str(out) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert out.read_bytes() == before

    def test_foreign(self, request_: Request, out: Path) -> None:
        out.write_text("my thesis\n" * 100)
        self.assert_refused(request_, out)

    def test_truncated(self, request_: Request, out: Path) -> None:
        out.write_bytes(out.read_bytes()[:-1])
        self.assert_refused(request_, out)

    def test_pruned(self, request_: Request, known: Checkpoint, out: Path) -> None:
        out.unlink()
        pruned_file(known, out)
        self.assert_refused(request_, out)

    @pytest.mark.parametrize(
        "changes",
        [
            {"width": 5},
            {"seed": 1},
            {"held_out": 20},
            {"recipe": default_recipe("digits", epochs=3)},
            {"recipe": default_recipe("digits", epochs=2).at_rate(0.01)},
        ],
        ids=str,
    )
    def test_of_another_request(
        self, request_: Request, out: Path, changes: dict[str, Any]
    ) -> None:
        self.assert_refused(replace(request_, **changes), out)

    def test_of_another_data_set(self, request_: Request, out: Path) -> None:
        other = replace(request_, dataset=replace(request_.dataset, name="cifar10"))
        self.assert_refused(other, out)


@pytest.mark.usefixtures("training_fails")
@pytest.mark.parametrize("blocked", ["work", "out"])
def test_a_folder_that_cannot_be_made_is_said_before_training(
    request_: Request, tmp_path: Path, blocked: str
) -> None:
    (tmp_path / blocked).write_text("a file")
    with pytest.raises(InputError, match=rf"{blocked}\S* cannot be written .+\.$"):
        obtained(request_, out=tmp_path / "out" / "file", folder=tmp_path / "work")


@pytest.mark.usefixtures("training_fails")
@pytest.mark.parametrize("blocked", ["work", "out"])
def test_a_folder_that_cannot_be_written_is_said_before_training(
    request_: Request, tmp_path: Path, blocked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: blocked not in str(path))
    with pytest.raises(InputError, match=rf"{blocked}\S* cannot be written .+\.$"):
        obtained(request_, out=tmp_path / "out" / "file", folder=tmp_path / "work")


def take_until_full(events: Iterator[Any], epochs: int) -> None:
    """Take all events; the disk is full as soon as so many epochs have ended."""
    ended = 0
    with ExitStack() as stack:
        for event in events:
            ended += isinstance(event, EpochEnd)
            if ended == epochs:
                stack.enter_context(full_disk())


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_a_disk_that_is_full_stops_training_with_a_sentence_and_loses_no_epoch(
    request_: Request, known: Checkpoint, tmp_path: Path, epochs: int
) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path}/\S+ cannot be written .+\.$"):
        take_until_full(obtain(request_, folder=tmp_path), epochs)
    assert not list(tmp_path.rglob("*.safetensors"))
    events = list(obtain(request_, folder=tmp_path))
    assert sum(isinstance(event, EpochEnd) for event in events) == 2 - epochs
    assert isinstance(events[-1], Checkpoint)
    assert events[-1].fingerprint == known.fingerprint


# Several at once


def obtain_in(folder: Path) -> Iterator[Step | EpochEnd | Waiting | str]:
    """The work of a child: its events, and at last a fingerprint instead of the checkpoint."""
    for event in obtain(tiny_request(load("digits")), folder=folder):
        yield event.fingerprint if isinstance(event, Checkpoint) else event


def test_of_two_processes_that_ask_at_once_one_trains(
    known: Checkpoint, tmp_path: Path, start: Start
) -> None:
    children = {child.connection: child for child in (start(obtain_in, tmp_path) for _ in "ab")}
    for child in children.values():
        child.go_on()
    first: dict[Child, Any] = {}
    while len(first) < 2:  # the trainer stands still until the other has asked
        for connection in wait(list(children.keys() - {child.connection for child in first})):
            child = children[connection]  # type: ignore[index]
            first[child] = child.connection.recv()
    trainer, waiter = sorted(first, key=lambda child: isinstance(first[child], Waiting))
    assert isinstance(first[trainer], Step)
    assert isinstance(first[waiter], Waiting)

    told = next(waiter.events())
    assert isinstance(told, Waiting)
    assert told.step == first[trainer]  # the waiter passes on how far the trainer is

    trained = list(trainer.events())
    waited = list(waiter.events())
    assert [event.epoch for event in trained if isinstance(event, EpochEnd)] == [1, 2]
    assert not [event for event in waited if isinstance(event, Step | EpochEnd)]
    assert trained[-1] == waited[-1] == known.fingerprint


def test_a_killed_training_is_taken_up_after_its_last_finished_epoch(
    request_: Request, known: Checkpoint, tmp_path: Path, start: Start
) -> None:
    child = start(obtain_in, tmp_path)
    for event in child.events():
        if isinstance(event, Step) and event.epoch == 2:
            child.kill()
            break
    assert not list(tmp_path.rglob("*.safetensors"))

    events = list(obtain(request_, folder=tmp_path))
    assert not [event for event in events if isinstance(event, Waiting)]
    assert isinstance(events[0], Step)
    assert events[0].epoch == 2
    assert isinstance(events[-1], Checkpoint)
    assert events[-1].fingerprint == known.fingerprint
    assert [entry["epoch"] for entry in events[-1].metadata["history"]["epochs"]] == [1, 2]
    assert len(files_in(tmp_path)) == 2  # the checkpoint and the lock


def test_another_recipe_leaves_an_unfinished_training_alone(
    request_: Request, known: Checkpoint, tmp_path: Path
) -> None:
    """Both would be files of one name, and both are for --out."""
    take_epochs(obtain(request_, tmp_path / "one.safetensors", folder=tmp_path), 1)
    other = replace(request_, recipe=request_.recipe.at_rate(0.02))
    assert other.file_name() == request_.file_name()
    obtained(other, out=tmp_path / "other.safetensors", folder=tmp_path)

    events = list(obtain(request_, tmp_path / "one.safetensors", folder=tmp_path))
    assert [event.epoch for event in events if isinstance(event, EpochEnd)] == [2]
    assert isinstance(events[-1], Checkpoint)
    assert events[-1].fingerprint == known.fingerprint


def take_epochs(events: Iterator[Any], number: int) -> None:
    """Drop a training after so many epochs and a step."""
    for event in events:
        if isinstance(event, Step) and event.epoch > number:
            return


def test_a_dropped_training_frees_the_lock_whatever_thread_drops_it(
    request_: Request, tmp_path: Path
) -> None:
    dropped = obtain(request_, folder=tmp_path)
    started, finished = threading.Event(), threading.Event()

    def begin() -> None:
        next(dropped)
        started.set()
        finished.wait()

    thread = threading.Thread(target=begin)
    thread.start()
    started.wait()
    assert isinstance(next(obtain(request_, folder=tmp_path)), Waiting)
    dropped.close()  # type: ignore[attr-defined]
    assert isinstance(next(obtain(request_, folder=tmp_path)), Step)
    finished.set()
    thread.join()


def test_a_training_that_fails_frees_the_lock(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(obtaining, "train", fail)
        with pytest.raises(RuntimeError, match="out of memory") as caught:
            obtained(request_, folder=tmp_path)
    assert isinstance(next(obtain(request_, folder=tmp_path)), Step)
    del caught  # until here its frames kept the lock from being collected


# What there is


def test_only_baselines_of_the_data_set_are_available(known: Checkpoint, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    for place in (tmp_path / "b-shipped.safetensors", local / "a-2ep.safetensors"):
        shutil.copy(known.path, place)
    checkpoint.save(known.network, tmp_path / "c.safetensors", "cifar10", known.metadata)
    pruned_file(known, tmp_path / "pruned.safetensors")
    pruned_file(known, local / "pruned-2ep.safetensors")
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "garbage.safetensors").write_text("garbage\n" * 100)
    (tmp_path / "folder.safetensors").mkdir()
    (local / "truncated-2ep.safetensors").write_bytes(known.path.read_bytes()[:1000])
    (local / "results-2ep.csv").write_text("ratio,accuracy\n")

    shipped_first = [tmp_path / "b-shipped.safetensors", local / "a-2ep.safetensors"]
    assert available("digits", tmp_path) == shipped_first
    assert available("cifar10", tmp_path) == [tmp_path / "c.safetensors"]
    assert available("mnist", tmp_path) == []
    assert available("digits", tmp_path / "nowhere") == []


def test_a_training_can_start_from_another_baseline(
    request_: Request, known: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_weights: list[dict[str, torch.Tensor]] = []
    epochs_before: list[int] = []

    def watched(model: Network, *arguments: Any, **named: Any) -> Iterator[Any]:
        epochs_before.append(named["epochs_before"])
        first_weights.append({name: t.clone() for name, t in model.module.state_dict().items()})
        return train(model, *arguments, **named)

    monkeypatch.setattr(obtaining, "train", watched)
    further = obtained(replace(request_, start=known), folder=tmp_path)
    assert further.metadata["started_from"] == {
        "fingerprint": known.fingerprint,
        "epochs": 2,
        "recipe": request_.recipe.to_json(),
        "seed": 0,
        "held_out": 0,
        "teachers": None,
        "started_from": None,
    }
    assert known.metadata["started_from"] is None
    assert all(
        torch.equal(tensor, first_weights[0][name])
        for name, tensor in known.network.module.state_dict().items()
    )
    assert further.fingerprint != known.fingerprint
    again = obtained(replace(request_, start=further), folder=tmp_path)
    assert again.metadata["started_from"]["epochs"] == 4
    assert epochs_before == [2, 4]
    assert [each["fingerprint"] for each in earlier_trainings(again.metadata)] == [
        further.fingerprint,
        known.fingerprint,
    ]
    assert len({path.name for path in (known.path, further.path, again.path)}) == 3


def test_another_start_is_another_baseline(
    request_: Request, known: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    obtained(request_, out=out, folder=tmp_path)
    with pytest.raises(CheckpointError, match="another network"):
        obtained(replace(request_, start=known), out=out, folder=tmp_path)


def test_mirroring_needs_teachers(request_: Request) -> None:
    mirroring = replace(request_.recipe, mirror_teachers=True)
    with pytest.raises(InputError, match="Only teachers"):
        replace(request_, recipe=mirroring)


def test_teachers_are_part_of_what_a_baseline_is(
    request_: Request, known: Checkpoint, tmp_path: Path
) -> None:
    taught = replace(request_, teachers=(known,))
    assert taught.file_name() != request_.file_name()
    assert taught.working_name() != request_.working_name()
    out = tmp_path / "out.safetensors"
    found = obtained(taught, out=out, folder=tmp_path)
    assert found.metadata["teachers"] == [known.fingerprint]
    assert found.fingerprint != known.fingerprint
    assert obtained(taught, out=out, folder=tmp_path).fingerprint == found.fingerprint
    with pytest.raises(CheckpointError, match="another network"):
        obtained(request_, out=out, folder=tmp_path)


def test_a_start_of_other_widths_is_refused(request_: Request, known: Checkpoint) -> None:
    with pytest.raises(InputError, match="cannot start from it"):
        replace(request_, start=known, width=8)


def test_a_pruned_network_is_no_start(request_: Request, known: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "pruned.safetensors"
    pruned = prune(known.network, PruningSpec("fine", 0.5)).network
    checkpoint.save(pruned, path, "digits", {"kind": "pruned"})
    with pytest.raises(InputError, match="no baseline, so training cannot start from it"):
        replace(request_, start=checkpoint.load(path))
    with pytest.raises(InputError, match="no baseline, so training cannot learn from it"):
        replace(request_, teachers=(checkpoint.load(path),))
