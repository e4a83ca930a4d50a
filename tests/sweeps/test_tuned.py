"""A fine-tuned network is trained once, kept with its provenance, and measured as kept."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch
from safetensors import SafetensorError

from core import paths
from core.data.dataset import DataSet
from core.data.loading import load
from core.errors import InputError
from core.evidence import Evidence
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.batch_norm import finished
from core.networks.checkpoint import Checkpoint
from core.pruning import prune
from core.recovery.tuning import Tuning
from core.results import Result, ResultStore
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.sweeps.measurer import Measurer
from core.sweeps.tuned import tuned, tuned_file, was_tuned_here
from tests.conftest import Child
from tests.small_networks import same_state

Start = Callable[[Callable[[Path], Iterable[Any]], Path], Child]

CPU = torch.device("cpu")
POINT = Point(PruningSpec("channel", 0.5), Recovery("finetune", 600, start="bn"))


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path)
    return tmp_path


@pytest.fixture
def evidence(trained: Checkpoint, digits: DataSet) -> Evidence:
    return Evidence(trained.network, trained.fingerprint, digits.training, "fp32", CPU)


@pytest.mark.usefixtures("checkpoints")
def test_it_is_trained_once_and_measured_as_kept(
    trained: Checkpoint, digits: DataSet, evidence: Evidence, tmp_path: Path
) -> None:
    measurer = Measurer(trained, digits, precision="fp32", device=CPU, evidence=evidence)
    *events, result = measurer.measure(POINT)
    assert isinstance(result, Result)
    assert any(isinstance(each, Tuning) for each in events)
    path = tuned_file(POINT, trained, evidence)
    assert was_tuned_here(trained)
    assert not was_tuned_here(replace(trained, path=trained.path.with_stem("other")))
    kept = checkpoint.read(path)
    measured = evaluate_fully(kept.network, digits.test_images, digits.test_labels, "fp32", CPU)
    assert measured.correct == result.evaluation.correct
    assert kept.metadata["recovery"] == POINT.recovery.to_json()
    assert kept.metadata["spec"]["ratio"] == 0.5
    assert kept.metadata["baseline"]["fingerprint"] == trained.fingerprint
    assert [each.suffix for each in path.parent.iterdir() if each.suffix != ".lock"] == [
        ".safetensors"
    ]
    *again, second = measurer.measure(POINT)
    assert isinstance(second, Result)
    assert not any(isinstance(each, Tuning) for each in again)
    assert second.evaluation.correct == result.evaluation.correct
    store = ResultStore(tmp_path / "results.sqlite")
    store.put([result], measurer.test_labels)
    found = store.get(result.key)
    assert found is not None
    assert found.key.recovery == POINT.recovery


@pytest.mark.usefixtures("checkpoints")
def test_a_dropped_tuning_leaves_no_checkpoint(trained: Checkpoint, evidence: Evidence) -> None:
    pruned = prune(trained.network, POINT.spec)
    for event in tuned(pruned, POINT, trained, evidence):
        if isinstance(event, Tuning):
            break
    path = tuned_file(POINT, trained, evidence)
    assert not path.exists()
    finished(tuned(pruned, POINT, trained, evidence))  # the lock was released
    assert path.exists()


@pytest.mark.usefixtures("checkpoints")
def test_two_do_not_train_the_same(trained: Checkpoint, evidence: Evidence) -> None:
    path = tuned_file(POINT, trained, evidence)
    path.parent.mkdir(parents=True)
    pruned = prune(trained.network, POINT.spec)
    with (
        filelock.FileLock(path.with_suffix(".lock"), thread_local=False),
        pytest.raises(InputError, match="Another process"),
    ):
        finished(tuned(pruned, POINT, trained, evidence))


LONG = Point(PruningSpec("fine", 0.7), Recovery("finetune", 3500, start="bn"))  # three passes


def tune_in(folder: Path) -> Iterator[Tuning]:
    """Fine-tune the baseline of a folder; for a process of its own."""
    paths.CHECKPOINTS = folder
    torch.set_num_threads(1)
    baseline = checkpoint.load(folder / "baseline.safetensors")
    evidence = Evidence(
        baseline.network, baseline.fingerprint, load("digits").training, "fp32", CPU
    )
    pruned = prune(baseline.network, LONG.spec)
    for event in tuned(pruned, LONG, baseline, evidence):
        if isinstance(event, Tuning):
            yield event


def test_a_killed_tuning_goes_on(trained: Checkpoint, tmp_path: Path, start: Start) -> None:
    """By kill -9 in its second pass; what comes out is what comes out without it."""
    folders = [tmp_path / name for name in ("killed", "whole")]
    for folder in folders:
        folder.mkdir()
        shutil.copy(trained.path, folder / "baseline.safetensors")
    child = start(tune_in, folders[0])
    passes = 0
    for event in child.events():
        passes += event.seen > 0 and event.done == event.total / 3
        if passes and not event.seen:
            child.kill()
            break
    assert not list(folders[0].rglob("tuned/*.safetensors"))
    first, *_ = rest = list(start(tune_in, folders[0]).events())
    assert first.done > event.total / 4
    assert len(rest) > 1
    assert list(start(tune_in, folders[1]).events())[-1].done == event.total
    networks = [
        checkpoint.read(next(folder.rglob("tuned/*.safetensors"))).network for folder in folders
    ]
    assert same_state(*(each.module.state_dict() for each in networks))


@pytest.mark.usefixtures("checkpoints")
def test_a_full_disk_is_said_in_a_sentence(
    trained: Checkpoint, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: File too large (os error 27)")

    monkeypatch.setattr("core.training.resume.save_file", refuse)
    with pytest.raises(InputError, match=r"Fine-tuning stopped.+cannot be written"):
        finished(tuned(prune(trained.network, POINT.spec), POINT, trained, evidence))
