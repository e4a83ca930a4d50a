"""The command line: results as JSON, bad input as one sentence, files that can be relied on."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core import baseline, checkpoint, data
from core.__main__ import main
from core.checkpoint import Checkpoint
from core.data import DataMissingError, DataSet, subset_indices
from core.data.loading import DownloadProgress
from core.evaluation import evaluate_fully

ROOT = Path(__file__).resolve().parents[1]
KEYS = {
    "correct",
    "seen",
    "accuracy",
    "interval",
    "parameters",
    "nonzero",
    "macs",
    "bytes",
    "seconds",
}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The last line of what was printed, with --json."""
        assert self.code == 0, self.err
        result = json.loads(self.out.splitlines()[-1])
        assert isinstance(result, dict)
        return result


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command with a folder of its own for checkpoints."""
    folder = tmp_path / "checkpoints"
    monkeypatch.setattr(baseline, "obtain", partial(baseline.obtain, folder=folder))
    monkeypatch.setattr(baseline, "available", partial(baseline.available, folder=folder))

    def run_it(*arguments: object) -> Outcome:
        try:
            code: Any = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run_it


def assert_refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith(".\n"), outcome.err
    assert not outcome.err.startswith(("usage", "Traceback"))
    for word in words:
        assert word in outcome.err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ([], ["train", "prune", "evaluate"]),
        (["train"], ["--dataset", "--epochs", "--optimiser", "--hold-out", "--overwrite"]),
        (["prune"], ["--method", "--ratio", "--criterion", "--allocation", "--scope", "--subset"]),
        (["evaluate"], ["--subset", "--seed", "--precision", "--json"]),
    ],
)
def test_each_command_has_help(run: Run, command: list[str], options: list[str]) -> None:
    outcome = run(*command, "--help")
    assert outcome.code == 0
    assert outcome.err == ""
    for option in options:
        assert option in outcome.out


# Results


def test_train_reports_what_its_file_holds(run: Run, digits: DataSet, tmp_path: Path) -> None:
    out = tmp_path / "new" / "trained.safetensors"
    command = ("train", "--dataset", "digits", "--epochs", 1, "--width", 4, "--out", out, "--json")
    result = run(*command).result
    assert result.keys() >= KEYS
    assert result["file"] == str(out)
    model = checkpoint.load(out, "digits").model
    assert result["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    measured = evaluate_fully(model, digits.test_images, digits.test_labels)
    assert (result["correct"], result["seen"]) == (measured.correct, 500)
    assert result["accuracy"] == result["correct"] / 500
    low, high = result["interval"]
    assert low < result["accuracy"] < high

    before = out.read_bytes()
    again = run(*command)  # is loaded
    assert "epoch" not in again.err
    assert again.result["correct"] == result["correct"]
    assert out.read_bytes() == before

    anew = run(*command, "--overwrite")
    assert "epoch 1/1" in anew.err
    assert anew.result["correct"] == result["correct"]


def test_evaluate_reports_a_stratified_subset(
    run: Run, trained: Checkpoint, digits: DataSet
) -> None:
    result = run("evaluate", trained.path, "--subset", 120, "--seed", 3, "--json").result
    assert result.keys() >= KEYS
    chosen = subset_indices(digits.test_labels, 120, seed=3)
    measured = evaluate_fully(trained.model, digits.test_images[chosen], digits.test_labels[chosen])
    assert (result["correct"], result["seen"]) == (measured.correct, 120)
    assert tuple(result["interval"]) == measured.interval
    assert result["loss"] == pytest.approx(measured.loss)


def test_evaluate_takes_all_test_images_unless_told(run: Run, trained: Checkpoint) -> None:
    outcome = run("evaluate", trained.path)
    accuracy = trained.metadata["accuracy"]
    assert f"{accuracy['correct']} of 500 test images right" in outcome.out


@pytest.mark.parametrize(
    "options",
    [
        ("fine", 0.6),
        ("fine", 0.9, "--allocation", "global"),
        ("channel", 0.3),
        ("channel", 0.4, "--scope", "internal", "--allocation", "global", "--criterion", "bn"),
        ("channel-mask", 0.3),
        ("channel-mask", 0.3, "--criterion", "random", "--criterion-seed", 7),
    ],
    ids=lambda options: " ".join(map(str, options)),
)
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_a_pruned_file_evaluates_to_what_its_pruning_reported(
    run: Run, trained: Checkpoint, tmp_path: Path, options: tuple[object, ...], precision: str
) -> None:
    method, ratio, *rest = options
    out = tmp_path / "pruned.safetensors"
    measuring = ("--subset", 250, "--seed", 5, "--precision", precision, "--json")
    pruning = run(
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--out", out),
        *("--method", method, "--ratio", ratio, *rest, *measuring),
    ).result
    evaluation = run("evaluate", out, *measuring).result
    assert pruning.keys() >= KEYS | {"sparsity", "spec"}
    for key in evaluation.keys() - {"seconds"}:
        assert evaluation[key] == pruning[key], key
    assert pruning["spec"]["method"] == method
    assert (pruning["parameters"] < trained_parameters(trained)) == (method == "channel")
    assert pruning["nonzero"] < trained_parameters(trained)


def trained_parameters(trained: Checkpoint) -> int:
    return sum(parameter.numel() for parameter in trained.model.parameters())


def test_a_pruned_file_says_where_it_comes_from_and_leaves_its_baseline(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    before = trained.path.read_bytes()
    out = tmp_path / "pruned.safetensors"
    result = run(
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--out", out),
        *("--method", "channel", "--ratio", 0.5, "--subset", 50, "--json"),
    ).result
    metadata = checkpoint.read_metadata(out)
    assert metadata["kind"] == "pruned"
    assert metadata["dataset"] == "digits"
    assert metadata["spec"] == result["spec"]
    assert metadata["baseline"]["fingerprint"] == trained.fingerprint
    assert metadata["accuracy"]["correct"] == result["correct"]
    assert trained.path.read_bytes() == before


def test_pruning_nothing_changes_nothing(run: Run, trained: Checkpoint) -> None:
    result = run(
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--json"),
        *("--method", "fine", "--ratio", 0),
    ).result
    assert result["correct"] == trained.metadata["accuracy"]["correct"]
    assert result["sparsity"] == 0


def test_the_first_baseline_found_is_pruned_unless_told(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(trained.path, tmp_path / "checkpoints")
    command = ("prune", "--dataset", "digits", "--method", "fine", "--ratio", 0, "--json")
    assert run(*command).result["correct"] == trained.metadata["accuracy"]["correct"]


# Files that exist


def test_a_pruned_file_is_replaced_only_when_asked(
    run: Run, trained: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "precious"
    out.write_text("precious")
    command = (
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--out", out),
        *("--method", "fine", "--ratio", 0.5, "--subset", 50, "--json"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(
            "core.commands.prune.prune", lambda *_: pytest.fail("it was pruned for nothing")
        )
        assert_refused(run(*command), str(out), "exists already")
    assert out.read_text() == "precious"
    assert run(*command, "--overwrite").result["seen"] == 50
    checkpoint.load(out)


def test_training_leaves_a_file_that_is_no_baseline(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "precious"
    out.write_text("precious")
    assert_refused(run("train", "--dataset", "digits", "--epochs", 1, "--out", out), str(out))
    assert out.read_text() == "precious"


# Bad input

PRUNE = ("prune", "--dataset", "digits", "--baseline", "BASELINE")
FINE = (*PRUNE, "--method", "fine")
EVALUATE = ("evaluate", "BASELINE")
TRAIN = ("train", "--dataset", "digits", "--width", 4)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ["command"]),
        (("shrink",), ["shrink"]),
        ((*FINE, "--ratio", 1.5), ["ratio", "0 to 1", "1.5"]),
        ((*FINE, "--ratio", -0.1), ["ratio", "0 to 1", "-0.1"]),
        ((*FINE, "--ratio", "nan"), ["ratio", "0 to 1", "nan"]),
        ((*FINE, "--ratio", "half"), ["--ratio", "half"]),
        (FINE, ["--ratio"]),
        ((*FINE, "--ratio", 0.5, "--criterion", "bn"), ["fine", "l1"]),
        ((*FINE, "--ratio", 0.5, "--criterion-seed", -1), ["seed", "-1"]),
        ((*PRUNE, "--ratio", 0.5), ["--method"]),
        ((*PRUNE, "--ratio", 0.5, "--method", "magic"), ["magic", "channel-mask"]),
        ((*FINE, "--ratio", 0.5, "--subset", 0), ["0 images", "10 to 500"]),
        ((*EVALUATE, "--subset", 0), ["0 images", "10 to 500"]),
        ((*EVALUATE, "--subset", 9), ["9 images", "10 to 500"]),
        ((*EVALUATE, "--subset", 501), ["501 images", "10 to 500"]),
        ((*EVALUATE, "--subset", "ten"), ["--subset", "ten"]),
        ((*EVALUATE, "--seed", -1), ["seed", "-1"]),
        ((*EVALUATE, "--seed", 10**30), ["seed", str(10**30)]),
        ((*EVALUATE, "--precision", "fp64"), ["fp64", "bf16"]),
        (("evaluate", "nowhere.safetensors"), ["no checkpoint nowhere.safetensors"]),
        (("evaluate",), ["no baseline for cifar10", "python -m core train --dataset cifar10"]),
        (
            ("prune", "--dataset", "digits", "--method", "fine", "--ratio", 0.5),
            ["no baseline for digits", "python -m core train --dataset digits"],
        ),
        (
            ("prune", "--baseline", "BASELINE", "--method", "fine", "--ratio", 0.5),
            ["trained on 'digits', not on 'cifar10'"],
        ),
        (("train", "--dataset", "mnist"), ["mnist", "digits"]),
        ((*TRAIN, "--epochs", 0), ["epochs", "0"]),
        ((*TRAIN, "--width", 100_000), ["width", "100000"]),
        ((*TRAIN, "--epochs", -3), ["epochs", "-3"]),
        ((*TRAIN, "--epochs", 1.5), ["--epochs", "1.5"]),
        ((*TRAIN, "--width", 0), ["width", "1 to 256"]),
        ((*TRAIN, "--seed", -1), ["seed", "-1"]),
        ((*TRAIN, "--seed", 10**30), ["seed", str(10**30)]),
        ((*TRAIN, "--hold-out", 5), ["5 images"]),
        ((*TRAIN, "--hold-out", 1000), ["1,000 images", "half"]),
        ((*TRAIN, "--optimiser", "adam"), ["adam", "sgd"]),
    ],
    ids=lambda part: " ".join(map(str, part)),
)
def test_bad_input_is_one_sentence(
    run: Run, trained: Checkpoint, command: tuple[object, ...], words: list[str]
) -> None:
    known = (trained.path if part == "BASELINE" else part for part in command)
    assert_refused(run(*known), *words)


def test_a_truncated_file_is_one_sentence(run: Run, trained: Checkpoint, tmp_path: Path) -> None:
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(trained.path.read_bytes()[:-100])
    assert_refused(run("evaluate", truncated), str(truncated), "truncated")


def test_a_stop_is_said_calmly(
    run: Run, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.commands.common.evaluate", stop)
    outcome = run("evaluate", trained.path, "--json")
    assert outcome.code == 130
    assert outcome.out == ""
    assert outcome.err == "Stopped; what was finished is kept.\n"


def test_a_download_is_announced(
    run: Run, trained: Checkpoint, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = threading.Event()

    def load(_: str) -> DataSet:
        if not arrived.is_set():
            raise DataMissingError("CIFAR-10 is not on this machine.")
        return digits

    def download() -> Iterator[DownloadProgress]:
        yield DownloadProgress(1, 2)
        yield DownloadProgress(2, 2)
        arrived.set()

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(data, "download_cifar10", download)
    outcome = run("evaluate", trained.path, "--subset", 50, "--json")
    assert "downloading 170 MB from https://" in outcome.err
    assert outcome.result["seen"] == 50


# As a process of its own


def in_a_process(*arguments: object) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_the_process_exits_with_2_and_one_sentence(trained: Checkpoint, tmp_path: Path) -> None:
    outcome = in_a_process(
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--method", "fine"),
        *("--ratio", 2, "--out", tmp_path / "pruned"),
    )
    assert_refused(outcome, "ratio", "2.0")
    assert not (tmp_path / "pruned").exists()


def test_the_process_prints_its_result_as_the_last_line(trained: Checkpoint) -> None:
    outcome = in_a_process("evaluate", trained.path, "--subset", 50, "--json")
    assert outcome.result.keys() >= KEYS
    assert outcome.result["seen"] == 50
