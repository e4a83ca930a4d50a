"""The command line with other networks: registered ones, own code, other people's files."""

import sys
from pathlib import Path

import pytest
import torch

from core.networks import checkpoint
from core.networks.architectures.elsewhere import OWN_CODE
from core.networks.checkpoint import Checkpoint
from core.specs.architecture import Architecture
from tests.commands.conftest import Run, assert_refused

OWN = """
from torch import nn


def network(num_classes=10):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, num_classes),
    )
"""


@pytest.fixture
def file(trained: Checkpoint, tmp_path: Path) -> Path:
    path = tmp_path / "theirs.pth"
    tensors = {f"module.{name}": each for name, each in trained.network.tensors().items()}
    torch.save({"state_dict": tensors, "epoch": 2}, path)
    return path


def test_train_takes_a_network_and_its_settings(run: Run) -> None:
    result = run(
        *("train", "--dataset", "digits", "--network", "resnet20", "--setting", "shortcut=conv"),
        *("--width", 4, "--epochs", 1, "--json"),
    ).result
    path = Path(result["file"])
    assert path.name == "resnet20-shortcut-conv-digits-1ep-w4.safetensors"
    loaded = checkpoint.load(path)
    assert loaded.signature.architecture == Architecture.of("resnet20", {"shortcut": "conv"})
    assert len(loaded.stored["conv1.weight"]) == 4


def test_own_code_is_trained_pruned_and_evaluated(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_network.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    monkeypatch.setenv(OWN_CODE, "")
    train = ("train", "--dataset", "digits", "--epochs", 1, "--json")
    trained = run(*train, "--network", "own_network:network").result
    path = Path(trained["file"])
    assert path.name == "own_network-network-digits-1ep.safetensors"
    pruned = tmp_path / "pruned.safetensors"
    prune = ("prune", "--dataset", "digits", "--baseline", path, "--method", "channel", "--json")
    at_half = run(*prune, "--ratio", 0.5, "--out", pruned).result
    assert at_half["parameters"] < trained["parameters"]
    assert run("evaluate", pruned, "--json").result["correct"] == at_half["correct"]
    monkeypatch.setenv(OWN_CODE, "")
    assert_refused(run("evaluate", pruned), "own_network:network", "EXPLORER_NETWORKS")


def test_an_imported_network_is_a_baseline_for_every_command(
    run: Run, file: Path, trained: Checkpoint
) -> None:
    given = trained.signature.normalisation
    outcome = run(
        *("import", file, "--dataset", "digits", "--name", "theirs", "--json"),
        *("--mean", *given.mean, "--std", *given.std),
    )
    result = outcome.result
    path = Path(result["file"])
    assert path.name == "theirs.safetensors"
    assert checkpoint.load(path).fingerprint == trained.fingerprint
    assert result["architecture"] == "resnet18"
    assert "Dropped module. from the names." in outcome.err
    evaluated = run("evaluate", path, "--json").result
    assert (evaluated["correct"], evaluated["seen"]) == (result["correct"], result["seen"])
    sweep = ("sweep", "--dataset", "digits", "--baseline", path, "--subset", 50, "--json")
    swept = run(*sweep, "--methods", "channel", "--ratios", "0.5")
    assert swept.code == 0, swept.err


def test_the_normalisation_that_is_found_is_shown(run: Run, file: Path) -> None:
    outcome = run("import", file, "--dataset", "digits")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert sum("taken" in line for line in lines) == 1
    assert any(line.startswith("ImageNet") for line in lines)
    assert "test images right" in lines[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--mean", "0.5"], ["--mean and --std together"]),
        (["--mean", "0.5", "0.5", "--std", "1", "1"], ["a number for each colour"]),
        (["--network", "vgg16"], ["Nearest is VGG-16"]),
        (["--network", "resnet19"], ["no architecture 'resnet19'"]),
        (["--setting", "shortcut=conv"], ["--network"]),
        (["--network", "resnet20", "--setting", "shortcut"], ["NAME=VALUE"]),
        (["--network", "nowhere:network"], ["cannot be imported"]),
        (["--name", "../x"], ["name has up to 100 letters"]),
    ],
)
def test_an_import_that_cannot_be_is_one_sentence(
    run: Run, file: Path, options: list[str], words: list[str]
) -> None:
    assert_refused(run("import", file, "--dataset", "digits", *options), *words)


def test_a_file_that_is_missing_is_one_sentence(run: Run, tmp_path: Path) -> None:
    assert_refused(run("import", tmp_path / "none.pth", "--dataset", "digits"), "none.pth")
