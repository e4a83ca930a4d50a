"""`latency`: what is measured is stored, exported and not measured again."""

import shutil
from pathlib import Path

import pytest

from core.measuring.cost import cost
from core.networks.checkpoint import Checkpoint
from core.pruning import prune
from core.results import read_latencies
from core.specs.pruning import PruningSpec
from core.studies import latency as study
from tests.commands.conftest import Run, assert_refused


@pytest.fixture
def chosen(
    trained: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[object, ...]:
    monkeypatch.setattr(study.measure_latency, "__defaults__", (2,))  # rounds
    baseline = shutil.copy(trained.path, tmp_path / "baseline.safetensors")
    store = tmp_path / "latencies.sqlite"
    return ("--dataset", "digits", "--baseline", baseline, "--store", store)


def test_what_was_measured_is_not_measured_again_and_ships(
    run: Run, chosen: tuple[object, ...], trained: Checkpoint, tmp_path: Path
) -> None:
    file = tmp_path / "some.latency.csv"
    asked = ("latency", *chosen, "--ratios", "0.5", "--batches", 1, 3, "--threads", 1)
    first = run(*asked, "--json").result
    assert first["measured"] == 4
    again = run(*asked, "--export", file, "--json").result
    assert again["measured"] == 0
    assert again["latencies"] == first["latencies"]
    shipped = read_latencies(file)
    assert {each.key.conditions.batch for each in shipped} == {1, 3}
    assert {each.key.conditions.threads for each in shipped} == {1}
    assert {each.key.checkpoint for each in shipped} == {trained.fingerprint}
    for each in shipped:
        speedup = each.speedup
        assert 0 < speedup.low <= speedup.median <= speedup.high
        assert speedup.rounds == 6
    assert run(*asked, "--again", "--json").result["measured"] == 4
    assert_refused(run(*asked, "--export", file), "exists already")


def test_the_work_and_the_memory_are_those_of_the_network(
    run: Run, chosen: tuple[object, ...], trained: Checkpoint
) -> None:
    asked = ("--ratios", "0.5", "--batches", 2, "--precision", "fp32", "--json")
    found = {each["settings"]: each for each in run("latency", *chosen, *asked).result["latencies"]}
    everything = cost(trained.network)
    channels = found['{"method":"channel"}']
    pruned = cost(prune(trained.network, PruningSpec("channel", 0.5)).network)
    assert channels["work"] == pytest.approx(pruned.macs_nonzero / everything.macs)
    assert channels["peak_bytes"] < channels["reference_peak_bytes"]
    weights = found["{}"] if "{}" in found else found['{"method":"fine"}']
    assert weights["work"] == pytest.approx(0.5, abs=0.02)
    assert weights["peak_bytes"] == weights["reference_peak_bytes"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--batches", 0), "from 1 on"),
        (("--threads", 0), "from 1 on"),
        (("--runtimes", "abacus"), "abacus"),
        (("--runtimes", "onnxruntime", "--precision", "bf16"), "bf16"),
        (("--criteria", "taylor", "--methods", "channel"), "training images"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    run: Run, chosen: tuple[object, ...], options: tuple[object, ...], word: str
) -> None:
    assert_refused(run("latency", *chosen, "--ratios", "0.5", *options), word)


def test_a_runtime_that_is_not_installed_says_what_to_install(
    run: Run, chosen: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    refused = run("latency", *chosen, "--runtimes", "openvino")
    assert_refused(refused, "requirements-export.txt")
