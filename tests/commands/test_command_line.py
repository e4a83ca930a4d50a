"""The command line: results as JSON, bad input as one sentence, files that can be relied on."""

import csv
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core import paths
from core.commands.measuring import ratios
from core.data import loading
from core.data.cifar import BOTH, Cifar
from core.data.dataset import DataMissingError, DataSet, subset_indices
from core.data.loading import DownloadProgress
from core.errors import InputError
from core.measuring.evaluation import BATCH_SIZES, evaluate_fully
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.metadata import BASELINE_FIELDS
from core.networks.network import Network
from core.pruning import prune
from core.recovery.merge import merged
from core.results import RESULTS_SUFFIX, Result, read_shipped
from core.specs.grid import grid
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.studies.shipped_grid import FIVE_EPOCHS, FULL, OTHER_NETWORKS
from core.sweeps.measurer import Measurer
from tests.commands.conftest import Outcome, Run, assert_refused
from tests.small_networks import random_network, recovered, same_state

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ([], ["train", "prune", "evaluate", "sweep"]),
        (
            ["train"],
            ["--dataset", "--epochs", "--optimiser", "--hold-out", "--start-from", "--overwrite"],
        ),
        (["prune"], ["--method", "--ratio", "--criterion", "--allocation", "--scope", "--subset"]),
        (["prune"], ["--recovery", "--out", "--overwrite"]),
        (["evaluate"], ["--subset", "--seed", "--precision", "--json"]),
        (["sweep"], ["--methods", "--ratios", "--criteria", "--allocations", "--scopes"]),
        (["sweep"], ["--recoveries", "--subset", "--export", "--store", "--shipped", "--json"]),
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
    model = checkpoint.load(out, "digits").network
    assert result["parameters"] == sum(parameter.numel() for parameter in model.module.parameters())
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


def test_a_training_goes_on_from_the_file_it_is_given(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "further.safetensors"
    command = ("train", "--dataset", "digits", "--epochs", 1, "--width", 8, "--out", out, "--json")
    result = run(*command, "--start-from", trained.path).result
    started_from = checkpoint.read_metadata(out)["started_from"]
    assert (started_from["fingerprint"], started_from["epochs"]) == (trained.fingerprint, 2)
    assert started_from["recipe"] == trained.metadata["recipe"]
    assert (result["file"], result["seen"]) == (str(out), 500)


def test_a_training_learns_from_the_teachers_it_is_given(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "taught.safetensors"
    command = ("train", "--dataset", "digits", "--epochs", 1, "--width", 4, "--out", out, "--json")
    assert run(*command, "--teachers", trained.path, trained.path).result["file"] == str(out)
    assert checkpoint.read_metadata(out)["teachers"] == 2 * [trained.fingerprint]
    mirroring = ("--teachers", trained.path, "--mirror-teachers", "--overwrite")
    run(*command, *mirroring)
    assert checkpoint.read_metadata(out)["recipe"]["mirror_teachers"] is True


def test_evaluate_reports_a_stratified_subset(
    run: Run, trained: Checkpoint, digits: DataSet
) -> None:
    result = run("evaluate", trained.path, "--subset", 120, "--seed", 3, "--json").result
    assert result.keys() >= KEYS
    chosen = subset_indices(digits.test_labels, 120, seed=3)
    measured = evaluate_fully(
        trained.network, digits.test_images[chosen], digits.test_labels[chosen]
    )
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
        ("channel", 0.3, "--override", "conv1=0", "layer2.0.conv1=0.75"),
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
    return sum(parameter.numel() for parameter in trained.network.module.parameters())


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


@pytest.mark.parametrize("method", ["bn", "none"])
def test_a_recovered_file_evaluates_to_what_was_reported(
    run: Run, trained: Checkpoint, digits: DataSet, tmp_path: Path, method: str
) -> None:
    out = tmp_path / "recovered.safetensors"
    measuring = ("--subset", 250, "--seed", 5, "--precision", "fp32", "--json")
    pruning = run(
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--out", out),
        *("--method", "channel", "--ratio", 0.4, "--recovery", method, *measuring),
    ).result
    evaluation = run("evaluate", out, *measuring).result
    for key in evaluation.keys() - {"seconds"}:
        assert evaluation[key] == pruning[key], key

    pruned = prune(trained.network, PruningSpec("channel", 0.4))
    expected = recovered(pruned, Recovery.named(method), digits, "fp32", trained.network)
    loaded = checkpoint.load(out, "digits")
    assert same_state(loaded.network.module.state_dict(), expected.module.state_dict())
    assert same_state(loaded.network.module.state_dict(), pruned.network.module.state_dict()) == (
        method == "none"
    )
    assert Recovery(**loaded.metadata["recovery"]) == Recovery.named(method)
    assert pruning["recovery"] == loaded.metadata["recovery"]


@pytest.fixture
def no_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without CIFAR-10 and without a network."""

    def download(_: Cifar) -> Iterator[DownloadProgress]:
        raise InputError("CIFAR-10 could not be downloaded.")
        yield

    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setattr(loading, "download", download)


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize("method", ["fine", "channel"])
def test_a_pruned_file_needs_no_images(
    run: Run, trained: Checkpoint, tmp_path: Path, method: str
) -> None:
    baseline, out = tmp_path / "baseline.safetensors", tmp_path / "pruned.safetensors"
    checkpoint.save(trained.network, baseline, "cifar10", {"kind": "pruned"})
    command = ("prune", "--baseline", baseline, "--method", method, "--ratio", 0.4)
    outcome = run(*command, "--out", out, "--json")
    assert "accuracy was not measured" in outcome.out
    stays = [note for note in outcome.result["notes"] if note in outcome.out]
    assert stays == (
        ["fc keeps its output channels: they are the network's output."]
        if method == "channel"
        else []
    )
    expected = prune(trained.network, PruningSpec(method, 0.4)).network
    assert same_state(
        checkpoint.load(out, "cifar10").network.tensors(),
        checkpoint.load(saved(expected, tmp_path)).network.tensors(),
    )
    assert outcome.result["nonzero"] == sum(
        int(each.count_nonzero()) for each in expected.module.parameters()
    )
    assert outcome.result["correct"] is None
    assert checkpoint.read_metadata(out)["accuracy"] is None
    for needing in (("--recovery", "bn", "--out", tmp_path / "recovered"), ()):
        outcome = run(*command, *needing)
        assert (outcome.code, outcome.err.splitlines()[-1]) == (
            2,
            "CIFAR-10 could not be downloaded.",
        )


@pytest.mark.usefixtures("no_images")
def test_channels_are_merged_without_images(run: Run, trained: Checkpoint, tmp_path: Path) -> None:
    baseline, out = tmp_path / "baseline.safetensors", tmp_path / "merged.safetensors"
    checkpoint.save(trained.network, baseline, "cifar10", {"kind": "pruned"})
    command = ("prune", "--baseline", baseline, "--ratio", 0.4, "--recovery", "merge", "--out", out)
    outcome = run(*command, "--method", "channel", "--json")
    assert outcome.result["recovery"] == {"method": "merge"}
    expected = merged(trained.network, prune(trained.network, PruningSpec("channel", 0.4)))
    assert same_state(
        checkpoint.load(out, "cifar10").network.tensors(),
        checkpoint.load(saved(expected, tmp_path)).network.tensors(),
    )
    assert_refused(run(*command, "--overwrite", "--method", "fine"), "channels that were removed")


def saved(network: Network, folder: Path) -> Path:
    """The file of a network, whose weights are rounded as any file's are."""
    path = folder / "expected.safetensors"
    checkpoint.save(network, path, "cifar10", {})
    return path


def test_pruning_nothing_changes_nothing(run: Run, trained: Checkpoint) -> None:
    result = run(
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--json"),
        *("--method", "fine", "--ratio", 0),
    ).result
    assert result["correct"] == trained.metadata["accuracy"]["correct"]
    parameters = list(trained.network.module.parameters())
    assert result["nonzero"] == sum(int(each.count_nonzero()) for each in parameters)
    weights = torch.cat([each.flatten() for each in parameters if each.ndim > 1])
    zeros = int((weights == 0).sum())  # training may, by chance, end at one
    assert result["sparsity"] == pytest.approx(zeros / len(weights), abs=1e-12)


@pytest.mark.parametrize(
    "command",
    [
        ("prune", "--method", "fine", "--ratio", 0, "--subset", 100),
        ("evaluate", "--subset", 100),
        ("sweep", "--ratios", "0", "--recoveries", "none", "--methods", "fine", "--subset", 100),
    ],
    ids=lambda command: command[0],
)
def test_the_baseline_that_the_app_opens_with_is_taken_unless_told(
    run: Run,
    trained: Checkpoint,
    digits: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[object, ...],
) -> None:
    """The other one comes first in the alphabet."""
    folder = tmp_path / "checkpoints"
    monkeypatch.setattr(loading, "load", lambda *_, **__: digits)
    metadata = {name: trained.metadata[name] for name in BASELINE_FIELDS}
    for name, model in (("a-1ep", random_network()), (FULL, trained.network)):
        checkpoint.save(
            model, folder / f"{name}.safetensors", "cifar10", {"kind": "baseline"} | metadata
        )
    result = run(*command, "--precision", "fp32", "--json").result
    found = result["results"][0] if command[0] == "sweep" else result
    expected = run("evaluate", trained.path, "--subset", 100, "--precision", "fp32", "--json")
    assert found["correct"] == expected.result["correct"]


# Sweeps

SWEEP = ("sweep", "--dataset", "digits", "--precision", "fp32", "--json", "--baseline")
SUBSET = ("--subset", 100, "--seed", 2)
A_FEW = ("--ratios", "0.3,0.6", "--recoveries", "none", *SUBSET)


@pytest.fixture
def stop_measuring(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def stop() -> None:
        monkeypatch.setattr(Measurer, "measure", lambda *_: pytest.fail("it was measured again"))

    return stop


def test_a_sweep_finds_what_pruning_one_by_one_reports(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    outcome = run(*SWEEP, trained.path, "--methods", "channel", "fine", "--ratios", "0.4", *SUBSET)
    result = outcome.result
    assert (tmp_path / "checkpoints" / "local" / "results.sqlite").exists()
    assert result["measured"] == 4
    asked_for = [(row["method"], row["ratio"], row["recovery"]) for row in result["results"]]
    assert asked_for == [
        ("channel", 0.4, "none"),
        ("channel", 0.4, "bn"),
        ("fine", 0.4, "none"),
        ("fine", 0.4, "bn"),
    ]
    for row in result["results"]:
        single = run(
            *("prune", "--dataset", "digits", "--baseline", trained.path, "--precision", "fp32"),
            *("--method", row["method"], "--ratio", row["ratio"], "--recovery", row["recovery"]),
            *(*SUBSET, "--json"),
        ).result
        assert row["seen"] == 100
        for name in KEYS - {"seconds"}:
            assert row[name] == single[name], name


def test_a_second_sweep_measures_nothing(
    run: Run, trained: Checkpoint, stop_measuring: Callable[[], None]
) -> None:
    first = run(*SWEEP, trained.path, *A_FEW).result
    stop_measuring()
    second = run(*SWEEP, trained.path, *A_FEW).result
    assert (first["measured"], second["measured"]) == (4, 0)
    assert second["results"] == first["results"]
    others = ("--ratios", "0.3:0.6:0.3", "--methods", "channel", "--recoveries", "none", *SUBSET)
    assert run(*SWEEP, trained.path, *others).result["results"] == [
        row for row in first["results"] if row["method"] == "channel"
    ]


def test_results_are_kept_where_they_are_asked_to_be(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    store = tmp_path / "elsewhere" / "mine.sqlite"
    command = (*SWEEP, trained.path, *A_FEW, "--store", store)
    assert run(*command).result["measured"] == 4
    assert store.exists()
    assert not (tmp_path / "checkpoints").exists()
    assert run(*command).result["measured"] == 0


def test_a_sweep_says_how_many_results_there_are(run: Run, trained: Checkpoint) -> None:
    without_json = [part for part in SWEEP if part != "--json"]
    outcome = run(*without_json, trained.path, *A_FEW)
    assert outcome.code == 0
    assert "4 results" in outcome.out
    assert "4 of them measured" in outcome.out


SCAN = ("scan", "--dataset", "digits", "--precision", "fp32", "--json", "--baseline")


def test_a_scan_finds_what_pruning_one_layer_reports(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "scan.results.csv"
    command = (*SCAN, trained.path, "--methods", "channel", "--ratios", "0.5", *SUBSET)
    result = run(*command, "--export", path).result
    assert result["measured"] == len(result["results"]) == 2 * (1 + 12)
    assert run(*command).result["measured"] == 0
    by_unit = {
        (row["overrides"][0][0], row["recovery"]): row["correct"]
        for row in result["results"]
        if row["overrides"]
    }
    for (unit, way), correct in list(by_unit.items())[::5]:
        pruned = run(
            *("prune", "--dataset", "digits", "--baseline", trained.path, *SUBSET, "--json"),
            *("--precision", "fp32", "--method", "channel", "--ratio", 0),
            *("--override", f"{unit}=0.5", "--recovery", way),
        ).result
        assert pruned["correct"] == correct
    shipped = read_shipped(path)
    assert len(shipped.results) == len(result["results"])
    assert len(shipped.test_labels) == 500


def test_candidates_compete_and_the_best_comes_first(run: Run, trained: Checkpoint) -> None:
    command = ("choose", "--dataset", "digits", "--precision", "fp32", "--baseline", trained.path)
    outcome = run(*command, *SUBSET, "--methods", "fine")
    assert outcome.code == 0
    assert "54 results, 54 of them measured now" in outcome.out
    assert outcome.out.count("with 50% removed") == 18
    result = run(*command, *SUBSET, "--methods", "fine", "--json").result
    assert list(result) == ["fine"]
    means = [sum(each["accuracies"]) / 3 for each in result["fine"]]
    assert means == sorted(means, reverse=True)
    best = result["fine"][0]
    pruned = run(
        *("prune", "--dataset", "digits", "--baseline", trained.path, *SUBSET, "--json"),
        *("--precision", "fp32", "--method", "fine", "--recovery", "bn"),
        *("--criterion", best["spec"]["criterion"], "--ratio", best["ratios"][1]),
        *("--allocation", best["spec"]["allocation"], "--ceiling", best["spec"]["ceiling"]),
    ).result
    assert pruned["accuracy"] == best["accuracies"][1]


def test_the_best_mixes_are_judged_on_other_images(run: Run, trained: Checkpoint) -> None:
    command = ("mixes", "--dataset", "digits", "--precision", "fp32", "--baseline", trained.path)
    result = run(*command, "--subset", 100, "--recoveries", "none", "--json").result
    (path,) = result.values()
    assert len(path) > 2
    lefts = [row["left"] for row in path]
    assert lefts == sorted(lefts, reverse=True)
    row = path[-1]
    pruned = run(
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--precision", "fp32"),
        *("--method", "hybrid", "--ratio", row["ratio"], "--rest-ratio", row["rest_ratio"]),
        "--json",
    ).result
    correct = pruned["correct"]
    (on_those_that_chose,) = [
        each["correct"]
        for each in run(
            *("sweep", "--dataset", "digits", "--precision", "fp32", "--baseline", trained.path),
            *("--methods", "hybrid", "--ratios", row["ratio"], "--rest-ratios", row["rest_ratio"]),
            *("--recoveries", "none", "--subset", 100, "--json"),
        ).result["results"]
    ]
    assert row["Best mix"] == (correct - on_those_that_chose) / 400
    again = run(*command, "--subset", 100, "--recoveries", "none")
    assert " 0 of them measured now" in again.out
    assert again.out.count("best mix") == len(path)


def test_no_image_may_both_choose_and_judge_a_mix(run: Run, trained: Checkpoint) -> None:
    command = ("mixes", "--dataset", "digits", "--precision", "fp32", "--baseline", trained.path)
    assert_refused(run(*command), "All 500 test images", "--subset")


def test_merging_is_swept_for_channels_only(run: Run, trained: Checkpoint) -> None:
    rows = run(
        *("sweep", "--dataset", "digits", "--precision", "fp32", "--baseline", trained.path),
        *("--ratios", "0.5", "--recoveries", "merge", *SUBSET, "--json"),
    ).result["results"]
    assert [row["method"] for row in rows] == ["channel"]


def test_a_ladder_trains_each_rung_once(
    run: Run, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "checkpoints")
    command = (
        *("ladder", "--dataset", "digits", "--precision", "fp32", "--baseline", trained.path),
        *("--fine", "0.5", "--channel", "0.3,0.5", "--images", 300, 500, *SUBSET),
    )
    export = tmp_path / "ladder.csv"
    rows = run(*command, "--ways", "bn", "gradual", "--export", export, "--json").result["results"]
    assert len(rows) == 3 * 2 * 2
    kept = list((tmp_path / "checkpoints" / "local" / "tuned").glob("*.safetensors"))
    assert len(kept) == len(rows)
    assert {each.key.recovery.prunings for each in read_shipped(export).results} == {1, 8}
    assert all(each.origin.recovery_seconds for each in read_shipped(export).results)
    again = run(*command, "--ways", "gradual", "bn")
    assert "12 results, 0 of them measured now" in again.out
    assert_refused(run(*command[:7]), "nothing to train")


def test_a_scan_is_on_all_images_where_there_are_few(run: Run, trained: Checkpoint) -> None:
    rows = run(
        *(*SCAN, trained.path, "--methods", "channel", "--ratios", "0.9", "--recoveries", "none")
    ).result["results"]
    assert {row["seen"] for row in rows} == {500}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:0.95:0.05", [hundredths / 100 for hundredths in range(0, 100, 5)]),
        ("0.1:0.35:0.1", [0.1, 0.2, 0.3]),
        ("0.29:0.57:0.28", [0.29, 0.57]),
        ("1:1:1", [1.0]),
        ("0.3,0.1", [0.3, 0.1]),
        ("0.55", [0.55]),
        ("0,1", [0.0, 1.0]),
    ],
)
def test_ratios_are_a_range_or_a_list(text: str, expected: list[float]) -> None:
    assert list(ratios(text)) == expected


def test_a_network_is_fine_tuned_and_saved(run: Run, trained: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "tuned.safetensors"
    command = (
        *("prune", "--dataset", "digits", "--baseline", trained.path, "--precision", "fp32"),
        *("--method", "channel", "--ratio", 0.5),
    )
    recalibrated = run(*command, "--recovery", "bn", "--json").result
    tuned = run(
        *(*command, "--recovery", "finetune", "--images", 700, "--start", "bn"),
        *("--targets", "labels", "--out", out, "--json"),
    ).result
    assert tuned["correct"] > recalibrated["correct"]
    asked = {"method": "finetune", "images": 700, "seed": 0, "start": "bn", "targets": "labels"}
    assert tuned["recovery"] == asked
    assert checkpoint.read(out).metadata["recovery"] == asked
    evaluated = run("evaluate", out, "--precision", "fp32", "--json").result
    assert evaluated["correct"] == tuned["correct"]


def test_a_sweep_that_is_stopped_keeps_what_was_finished(
    run: Run, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Measurer.measure
    begun = []

    def stop_at_the_third(self: Measurer, point: Point) -> Iterator[Any]:
        begun.append(point)
        for event in measure(self, point):
            if len(begun) == 3:
                raise KeyboardInterrupt
            yield event

    with monkeypatch.context() as patch:
        patch.setattr(Measurer, "measure", stop_at_the_third)
        outcome = run(*SWEEP, trained.path, *A_FEW)
    assert (outcome.code, outcome.out) == (130, "")
    assert "kept" in outcome.err
    assert run(*SWEEP, trained.path, *A_FEW).result["measured"] == 2


def test_a_sweep_on_the_whole_test_set_is_exported_for_others_to_read(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "some results.csv"
    path.parent.mkdir()
    command = [*map(str, (*SWEEP, trained.path, "--ratios", "0:0.4:0.4", "--export", path))]
    run(*SWEEP, trained.path, "--ratios", "0.4", "--recoveries", "none")  # known before
    result = run(*command).result
    assert result["measured"] == 4  # of the six; at ratio 0 both methods are one

    first_line = path.read_text().splitlines()[0]
    assert first_line.startswith("# ")
    assert shlex.split(first_line[2:]) == ["python", "-m", "core", *command]
    read = read_shipped(path).results
    assert len(read) == len(result["results"]) == 6
    assert counts_of(read) == {
        (row["method"], row["ratio"], row["recovery"]): (row["correct"], row["seen"])
        for row in result["results"]
    }
    assert {item.key.checkpoint for item in read} == {trained.fingerprint}


def counts_of(results: list[Result]) -> dict[tuple[str, float, str], tuple[int, int]]:
    return {
        (result.key.spec.method, result.key.spec.ratio, result.key.recovery.method): (
            result.evaluation.correct,
            result.evaluation.seen,
        )
        for result in results
    }


def test_a_sweep_on_a_subset_is_exported_as_a_table(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "results.csv"
    result = run(*SWEEP, trained.path, *A_FEW, "--export", path).result
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# python -m core")
    rows = list(csv.DictReader(lines[1:]))
    assert {row["test_images"] for row in rows} == {"500"}
    assert {row["subset_seed"] for row in rows} == {"2"}
    names = ("method", "ratio", "correct", "seen")
    exported = [(r["method"], float(r["ratio"]), int(r["correct"]), int(r["seen"])) for r in rows]
    assert sorted(exported) == sorted(
        tuple(row[name] for name in names) for row in result["results"]
    )


@pytest.fixture
def ships(trained: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where two baselines ship, and three points of each."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    shutil.copy(trained.path, folder / f"{FULL}.safetensors")
    other = prune(trained.network, PruningSpec("fine", 0.2)).network
    checkpoint.save(other, folder / f"{FIVE_EPOCHS}.safetensors", "digits", trained.metadata)

    def points(name: str) -> list[Point]:
        return grid(["channel"], [0.5, 0.7, 0.9] if name == FULL else [0.4, 0.6, 0.8])

    monkeypatch.setattr("core.commands.sweep.shipped_points", points)
    monkeypatch.setattr("core.commands.sweep.POINTS_BETWEEN_FILES", 2)
    return folder


def test_what_ships_is_measured_once_and_written_beside_its_baseline(
    run: Run, ships: Path, trained: Checkpoint, digits: DataSet, stop_measuring: Callable[[], None]
) -> None:
    result = run("sweep", "--shipped", "--json", "--precision", "fp32").result
    assert result == {"results": {FULL: 3, FIVE_EPOCHS: 3}}
    files = {name: ships / f"{name}{RESULTS_SUFFIX}" for name in (FULL, FIVE_EPOCHS)}
    for name, first in ((FULL, 0.5), (FIVE_EPOCHS, 0.4)):
        read = read_shipped(files[name]).results
        assert [item.key.spec.ratio for item in read] == pytest.approx(
            [first, first + 0.2, first + 0.4]
        )
        assert {item.evaluation.seen for item in read} == {500}
    (of_full, *_) = read_shipped(files[FULL]).results
    by_hand = evaluate_fully(
        prune(trained.network, PruningSpec("channel", 0.5)).network,
        digits.test_images,
        digits.test_labels,
        "fp32",
    )
    assert of_full.predictions.tolist() == by_hand.predictions.tolist()

    before = {path: path.read_bytes() for path in files.values()}
    stop_measuring()
    assert run("sweep", "--shipped", "--json", "--precision", "fp32").result == result
    shutil.rmtree(ships / "local")  # what ships is known without it
    assert run("sweep", "--shipped", "--json", "--precision", "fp32").result == result
    assert {path: path.read_bytes() for path in files.values()} == before


def test_other_networks_ship_on_a_subset(
    run: Run, ships: Path, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.commands.sweep.IMAGES_OF_OTHERS", 60)
    (name, *_) = OTHER_NETWORKS
    shutil.copy(trained.path, ships / f"{name}.safetensors")
    result = run("sweep", "--shipped", "--json").result
    assert result == {"results": {FULL: 3, FIVE_EPOCHS: 3, name: 3}}
    shipped = read_shipped(ships / f"{name}{RESULTS_SUFFIX}")
    assert {(item.key.subset, item.key.subset_seed) for item in shipped.results} == {(60, 0)}


def test_what_ships_is_not_replaced_by_results_in_another_precision(run: Run, ships: Path) -> None:
    run("sweep", "--shipped", "--json", "--precision", "fp32")
    files = {path: path.read_bytes() for path in ships.glob("*.results.*")}
    assert len(files) == 4
    outcome = run("sweep", "--shipped", "--json", "--precision", "bf16")
    assert_refused(outcome, RESULTS_SUFFIX, "bf16", "--precision fp32")
    assert {path: path.read_bytes() for path in files} == files


def test_what_ships_is_not_measured_on_another_copy_of_the_images(
    run: Run, ships: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(digits, test_images=255 - digits.test_images)
    assert other.fingerprint != digits.fingerprint
    monkeypatch.setattr(loading, "load", lambda *_, **__: other)
    assert_refused(run("sweep", "--shipped", "--json"), f"{FULL}.safetensors", "copy")
    assert not list(ships.glob("*.results.*"))


def test_files_that_ship_are_written_again_and_again(
    run: Run, ships: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in them when a sweep is killed at its third point."""
    measure = Measurer.measure
    begun = []

    def stop_at_the_third(self: Measurer, point: Point) -> Iterator[Any]:
        begun.append(point)
        if len(begun) == 3:
            raise KeyboardInterrupt
        yield from measure(self, point)

    monkeypatch.setattr(Measurer, "measure", stop_at_the_third)
    assert run("sweep", "--shipped", "--json").code == 130
    assert len(read_shipped(ships / f"{FULL}{RESULTS_SUFFIX}").results) == 2


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
            "core.commands.making.new_pruner", lambda *_: pytest.fail("it was pruned for nothing")
        )
        assert_refused(run(*command), str(out), "exists already", "--overwrite")
    assert out.read_text() == "precious"
    assert run(*command, "--overwrite").result["seen"] == 50
    checkpoint.load(out)


def test_training_leaves_a_file_that_is_no_baseline(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "precious"
    out.write_text("precious")
    assert_refused(run("train", "--dataset", "digits", "--epochs", 1, "--out", out), str(out))
    assert out.read_text() == "precious"


# Bad input

OF_THE_BASELINE = ("--dataset", "digits", "--baseline", "BASELINE")
PRUNE = ("prune", "--dataset", "digits", "--baseline", "BASELINE")
FINE = (*PRUNE, "--method", "fine")
EVALUATE = ("evaluate", "BASELINE")
TRAIN = ("train", "--dataset", "digits", "--width", 4)
SWEEP_IT = (*SWEEP, "BASELINE")


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
        ((*FINE, "--ratio", 0.5, "--out", "x.pt"), ["--out", "x.pt", ".safetensors"]),
        ((*TRAIN, "--out", "x.pth"), ["--out", "x.pth", ".safetensors"]),
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
        ((*EVALUATE, "--device", "tpu"), ["--device", "tpu", "mps"]),
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
        ((*TRAIN, "--learning-rate", 0), ["learning rate", "0.0"]),
        ((*TRAIN, "--learning-rate", "nan"), ["learning rate", "nan"]),
        ((*TRAIN, "--translate", 17), ["17", "16"]),
        ((*TRAIN, "--cutout", -1), ["-1", "224"]),
        ((*TRAIN, "--cutout", 33), ["33", "32"]),
        ((*TRAIN, "--image-size", 64), ["Handwritten digits", "--image-size"]),
        ((*TRAIN, "--warm-up", 1), ["at least 0 and below 1", "1.0"]),
        ((*TRAIN, "--start-from", "nowhere"), ["no checkpoint nowhere"]),
        ((*TRAIN, "--start-from", "BASELINE"), ["widths", "cannot start"]),
        ((*FINE, "--ratio", 0.5, "--recovery", "prayer"), ["--recovery", "prayer", "bn"]),
        ((*FINE, "--ratio", 0.5, "--images", 10), ["--images", "--recovery finetune"]),
        ((*FINE, "--ratio", 0.5, "--recovery", "finetune", "--images", 9), ["10 to", "not 9"]),
        ((*FINE, "--ratio", 0.5, "--recovery", "finetune", "--start", "none"), ["--start", "none"]),
        ((*SWEEP_IT, "--methods", "fine", "magic"), ["--methods", "magic", "channel-mask"]),
        ((*SWEEP_IT, "--criteria", "l3"), ["--criteria", "l3", "l2"]),
        ((*SWEEP_IT, "--allocations", "fair"), ["--allocations", "fair", "global"]),
        ((*SWEEP_IT, "--scopes", "inner"), ["--scopes", "inner", "internal"]),
        ((*SWEEP_IT, "--recoveries", "prayer"), ["--recoveries", "prayer", "bn"]),
        ((*SWEEP_IT, "--ratios", "half"), ["--ratios", "half"]),
        ((*SWEEP_IT, "--ratios", "0.1,1.2"), ["--ratios", "0.1,1.2", "0 to 1"]),
        ((*SWEEP_IT, "--ratios", "0:1.5:0.5"), ["--ratios", "0:1.5:0.5", "0 to 1"]),
        ((*SWEEP_IT, "--ratios", "0:1:0"), ["--ratios", "0:1:0"]),
        ((*SWEEP_IT, "--ratios", "0.5:0.1:0.1"), ["--ratios", "0.5:0.1:0.1"]),
        ((*SWEEP_IT, "--ratios", "0:0.5"), ["--ratios", "0:0.5"]),
        ((*SWEEP_IT, "--ratios", "0:inf:0.1"), ["--ratios", "0:inf:0.1"]),
        ((*SWEEP_IT, "--ratios", "nan"), ["--ratios", "nan"]),
        ((*SWEEP_IT, "--ratios", ""), ["--ratios"]),
        ((*SWEEP_IT, "--ratios", "0.125"), ["hundredths", "0.125"]),
        ((*SWEEP_IT, "--ratios", "0:0.5:0.125"), ["hundredths", "0:0.5:0.125"]),
        ((*SWEEP_IT, "--ratios", "0:1e9:0.01"), ["0:1e9:0.01"]),
        ((*SWEEP_IT, "--methods", "fine", "--criteria", "bn"), ["nothing to measure"]),
        ((*SWEEP_IT, "--floor", 2), ["floor", "0 to 1", "2"]),
        ((*SWEEP_IT, "--ceiling", -1), ["ceiling", "0 to 1", "-1"]),
        ((*SWEEP_IT, "--round-to", 0), ["multiples", "1 to 64", "0"]),
        ((*SWEEP_IT, "--subset", 9), ["9 images", "10 to 500"]),
        ((*SWEEP_IT, "--subset", 501), ["501 images", "10 to 500"]),
        ((*SWEEP_IT, "--subset", 50, "--seed", -1), ["seed", "-1"]),
        ((*SWEEP_IT, "--criterion-seed", -1), ["seed", "-1"]),
        ((*FINE, "--ratio", 0.5, "--override", "fc"), ["--override", "'fc'", "0.3"]),
        ((*FINE, "--ratio", 0.5, "--override", "fc=1.5"), ["fc", "1.5"]),
        ((*FINE, "--ratio", 0.5, "--override", "fc=0", "fc=1"), ["once"]),
        ((*FINE, "--ratio", 0.5, "--override", "layer9=0.5"), ["layer9", "layer4.1.conv2"]),
        ((*SCAN, "BASELINE", "--subset", 9), ["9 images", "10 to 500"]),
        ((*SCAN, "BASELINE", "--methods", "fine", "--criterion", "bn"), ["BN γ", "fine"]),
        ((*SCAN, "BASELINE", "--ratios", "half"), ["--ratios", "half"]),
        (("sweep", "--baseline", "nowhere"), ["no checkpoint nowhere"]),
        (("sweep",), ["no baseline for cifar10", "python -m core train --dataset cifar10"]),
        (("sweep", "--shipped"), ["checkpoints", "no checkpoint"]),
        (("sweep", "--shipped", "--subset", 50), ["--subset", "cannot be combined"]),
        (("sweep", "--shipped", "--ratios", "0.3"), ["--ratios", "cannot be combined"]),
        (("sweep", "--shipped", "--criterion-seed", 1), ["--criterion-seed", "cannot be combined"]),
        (("sweep", "--shipped", "--store", "mine.sqlite"), ["--store", "cannot be combined"]),
        ((*SWEEP_IT, "--export", "mine.npz"), ["mine.npz", "ends in .csv"]),
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


def test_a_table_that_cannot_be_written_is_one_sentence_and_loses_nothing(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "results.csv"
    assert_refused(run(*SWEEP, trained.path, *A_FEW, "--export", out), str(out), "written")
    assert run(*SWEEP, trained.path, *A_FEW).result["measured"] == 0


def test_a_table_whose_arrays_would_replace_a_file_is_refused_before_anything_is_measured(
    run: Run, trained: Checkpoint, tmp_path: Path, stop_measuring: Callable[[], None]
) -> None:
    mine = tmp_path / "mine.npz"
    mine.write_text("precious")
    stop_measuring()
    outcome = run(*SWEEP, trained.path, *A_FEW, "--export", tmp_path / "mine.csv")
    assert_refused(outcome, str(mine), "exists")
    assert mine.read_text() == "precious"


def test_that_nothing_can_be_kept_is_said_before_anything_is_measured(
    run: Run, trained: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints").write_text("a file is in the way")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Measurer, "measure", stop)
    outcome = run(*SWEEP, trained.path, *A_FEW)
    assert outcome.code == 130
    assert "results are kept until this process ends" in outcome.err.splitlines()[0]


def test_a_stop_is_said_calmly(
    run: Run, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.commands.common.evaluate", stop)
    outcome = run("evaluate", trained.path, "--json")
    assert outcome.code == 130
    assert outcome.out == ""
    assert outcome.err == "Stopped; finished results are kept.\n"


@pytest.mark.parametrize("cifar", BOTH.values(), ids=list(BOTH))
def test_a_download_is_announced(
    run: Run,
    trained: Checkpoint,
    digits: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cifar: Cifar,
) -> None:
    path = tmp_path / "network.safetensors"
    checkpoint.save(trained.network, path, cifar.name, {})
    arrived = threading.Event()

    def load(_: str, **__: object) -> DataSet:
        if not arrived.is_set():
            raise DataMissingError("The images are not on this machine.")
        return digits

    def download(asked: Cifar) -> Iterator[DownloadProgress]:
        assert asked is cifar
        yield DownloadProgress(1, 2)
        yield DownloadProgress(2, 2)
        arrived.set()

    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr(loading, "download", download)
    outcome = run("evaluate", path, "--subset", 50, "--json")
    assert f"{cifar.title} is not on this machine: downloading 1" in outcome.err
    assert loading.archive_address(cifar) in outcome.err
    assert outcome.result["seen"] == 50


DEVICE_COMMANDS: dict[str, tuple[object, ...]] = {
    "evaluate": ("evaluate", "BASELINE"),
    "prune": ("prune", "--method", "fine", "--ratio", 0.5, *OF_THE_BASELINE),
    "prune with recovery": (
        *("prune", "--method", "fine", "--ratio", 0.5, "--recovery", "bn"),
        *OF_THE_BASELINE,
    ),
    "sweep": ("sweep", *OF_THE_BASELINE),
    "scan": ("scan", *OF_THE_BASELINE),
    "choose": ("choose", *OF_THE_BASELINE),
    "mixes": ("mixes", *OF_THE_BASELINE, "--subset", 100),
    "ladder": ("ladder", *OF_THE_BASELINE, "--fine", 0.5, "--images", 100),
    "train": ("train", "--dataset", "digits", "--width", 4, "--epochs", 1),
}


@pytest.mark.parametrize("command", DEVICE_COMMANDS.values(), ids=list(DEVICE_COMMANDS))
def test_each_command_computes_on_the_device_asked_for(
    run: Run, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...]
) -> None:
    """Meta stands in for a GPU: the first number that is read from it raises an error."""
    known = [trained.path if part == "BASELINE" else part for part in command]
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert_refused(run(*known, "--device", "mps"), "device mps", "choose cpu")
    for place in ("core.__main__", "core.sweeps.job"):
        monkeypatch.setattr(f"{place}.resolve_device", lambda _: torch.device("meta"))
    monkeypatch.setitem(BATCH_SIZES, "meta", 100)
    with pytest.raises((RuntimeError, NotImplementedError), match=r"meta|Meta"):
        run(*known)


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


def test_a_sweep_of_another_data_set_than_asked_for_is_refused(
    run: Run, trained: Checkpoint
) -> None:
    outcome = run("sweep", "--dataset", "cifar10", "--baseline", trained.path)
    assert_refused(outcome, "digits", "cifar10")


def test_an_existing_export_is_replaced_only_when_asked(
    run: Run, trained: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "precious.csv"
    path.write_text("precious")
    command = (*SWEEP, trained.path, *A_FEW, "--export", path)
    assert_refused(run(*command), str(path), "exists already", "--overwrite")
    assert path.read_text() == "precious"
    run(*command, "--overwrite")
    assert path.read_text().startswith("# python -m core sweep")
