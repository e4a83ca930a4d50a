"""`export`: files that compute what was measured, and a card that tells of them; all or none."""

import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data import loading
from core.data.dataset import DataMissingError, DataSet
from core.export import formats, tracing
from core.measuring.evaluation import evaluate_fully
from core.measuring.statistics import wilson_interval
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.pruning import prune
from core.specs.pruning import PruningSpec
from tests.commands.conftest import Run, assert_refused
from tests.export.subjects import run_elsewhere, run_onnx, same_logits

CARDS = {"network.card.json", "network.card.md"}


@pytest.fixture
def baseline(trained: Checkpoint, tmp_path: Path) -> Path:
    return Path(shutil.copy(trained.path, tmp_path / "baseline.safetensors"))


@pytest.fixture
def options(baseline: Path) -> tuple[object, ...]:
    return ("--dataset", "digits", "--baseline", baseline, "--precision", "fp32")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_the_card_says_what_can_be_counted(
    run: Run, options: tuple[object, ...], trained: Checkpoint, digits: DataSet, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    chosen = ("--format", "torch", "safetensors", "--name", "network", "--json")
    result = run("export", "channel 0.5", "--out", out, *chosen, *options).result
    network = prune(trained.network, PruningSpec("channel", 0.5)).network
    measured = evaluate_fully(network, digits.test_images, digits.test_labels, "fp32")
    card = result["card"]
    assert card == json.loads((out / "network.card.json").read_text())
    assert (card["accuracy"]["correct"], card["accuracy"]["seen"]) == (measured.correct, 500)
    assert card["accuracy"]["interval"] == list(wilson_interval(measured.correct, 500))
    assert card["setting"] == "channel 0.5"
    sizes = [
        sum(each.numel() for each in net.module.parameters()) for net in (network, trained.network)
    ]
    assert [card["costs"]["parameters"], card["baseline_costs"]["parameters"]] == sizes
    assert card["baseline"]["fingerprint"] == trained.fingerprint
    for file in card["files"]:
        content = (out / file["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"])
    assert card["command"].startswith("python -m core export 'channel 0.5' --out")
    assert names_in(out) == {"network.pt", "network.py", "network.safetensors", *CARDS}
    assert {str(out / name) for name in names_in(out)} == set(result["files"])
    assert f"{measured.correct:,} of 500 right" in (out / "network.card.md").read_text()

    inputs = network.inputs(digits.test_images[:20])
    (logits,) = run_elsewhere([out / "network.py"], inputs, tmp_path)
    with torch.no_grad():
        assert same_logits(logits, network.module(inputs))
    metadata = checkpoint.read_metadata(out / "network.safetensors")
    assert (metadata["kind"], metadata["accuracy"]["correct"]) == ("pruned", measured.correct)
    assert (
        run("evaluate", out / "network.safetensors", "--precision", "fp32", "--json").result[
            "correct"
        ]
        == measured.correct
    )


def test_onnx_is_usual_and_has_its_normalisation_inside(
    run: Run, options: tuple[object, ...], digits: DataSet, tmp_path: Path
) -> None:
    setting = "channel 0.5 recovery=bn"
    done = run("export", setting, "--out", tmp_path / "out", "--normalise", *options)
    assert done.code == 0, done.err
    assert "right about" in done.out
    stem = "baseline_channel_0_5_bn"
    assert names_in(tmp_path / "out") == {f"{stem}.onnx", f"{stem}.card.json", f"{stem}.card.md"}
    logits = run_onnx((tmp_path / "out" / f"{stem}.onnx").read_bytes(), digits.test_images / 255)
    card = json.loads((tmp_path / "out" / f"{stem}.card.json").read_text())
    right = int((logits.argmax(1) == digits.test_labels).sum())
    assert abs(right - card["accuracy"]["correct"]) <= 1  # two runtimes may round one image apart
    assert card["recovery"]["method"] == "bn"
    assert any("trtexec --onnx=" in note for note in card["notes"])


def test_a_pruned_file_is_exported_with_what_it_records(
    run: Run, options: tuple[object, ...], trained: Checkpoint, tmp_path: Path
) -> None:
    file = tmp_path / "narrow.safetensors"
    shared = options[:4]
    run("prune", *shared, "--method", "channel", "--ratio", 0.5, "--out", file)
    archive = tmp_path / "narrow.zip"
    asked = ("--out", archive, "--format", "safetensors", "torch", *options, "--json")
    result = run("export", file, *asked).result
    assert result["files"] == [str(archive)]
    content = zipfile.ZipFile(io.BytesIO(archive.read_bytes()))
    assert content.testzip() is None
    names = {".safetensors", ".pt", ".py", ".card.json", ".card.md"}
    assert set(content.namelist()) == {f"narrow{each}" for each in names}
    card = json.loads(content.read("narrow.card.json"))
    assert (card["setting"], card["baseline"]["file"]) == ("channel 0.5", "baseline.safetensors")
    assert card["baseline"]["fingerprint"] == trained.fingerprint
    full = sum(each.numel() for each in trained.network.module.parameters())
    assert card["baseline_costs"]["parameters"] == full
    for each in card["files"]:
        assert hashlib.sha256(content.read(each["name"])).hexdigest() == each["sha256"]


def test_without_images_no_accuracy_is_compared(
    run: Run, options: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(*_: object, **__: object) -> DataSet:
        raise DataMissingError("The images are not on this machine.")

    monkeypatch.setattr(loading, "load", missing)
    out = tmp_path / "network.onnx"
    done = run("export", "channel 0.5 recovery=merge", "--out", out, *options)
    assert done.code == 0, done.err
    assert "no accuracy was compared" in done.out
    assert out.exists()
    assert json.loads((tmp_path / "network.card.json").read_text())["accuracy"] is None
    outcome = run("export", "fine 0.5 recovery=bn", "--out", tmp_path / "new", *options)
    assert_refused(outcome, "not on this machine")


def test_files_that_exist_are_kept_unless_they_may_be_replaced(
    run: Run, options: tuple[object, ...], tmp_path: Path
) -> None:
    out, asked = tmp_path / "network.pt", ("export", "fine 0.5", "--subset", 50, *options)
    assert run(*asked, "--out", out).code == 0
    before = out.read_bytes()
    assert_refused(run(*asked, "--out", out), "network.pt exists already")
    assert run(*asked, "--out", out, "--overwrite").code == 0
    assert out.read_bytes() == before


def test_a_broken_file_is_not_written(
    run: Run, options: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tracing.exported_elsewhere

    def broken(module: torch.nn.Module, *rest: Any) -> bytes:
        with torch.no_grad():
            module.get_submodule("fc").get_parameter("weight").neg_()
        return other(module, *rest)

    monkeypatch.setattr(tracing, "exported_elsewhere", broken)
    out = tmp_path / "out"
    asked = ("--format", "torch", "onnx", "--subset", 50, "--json")
    outcome = run("export", "unpruned", "--out", out, *asked, *options)
    assert outcome.code == 2
    assert "Nothing was written: in ONNX Runtime, logits differ" in outcome.err
    assert not out.exists()


def test_an_interrupted_export_leaves_nothing(
    run: Run, options: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(formats.WRITERS, "torch", stop)
    asked = ("--format", "safetensors", "torch", "--subset", 50)
    assert run("export", "fine 0.5", "--out", tmp_path / "out", *asked, *options).code == 130
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "asked", "words"),
    [
        ("fine 0.5", ("--out", "out", "--name", "a/b"), ("cannot be named", "a_b")),
        ("fine 0.5", ("--out", "out", "--name", "n" * 300), ("cannot be named", "longer")),
        ("fine 0.5", ("--out", "n" * 300 + ".onnx"), ("cannot be part of a path",)),
        ("fine 0.5", ("--out", "n" * 240 + ".onnx"), ("cannot be named", "longer")),
        ("fine 0.5", ("--out", "a\tb"), ("cannot be part of a path",)),
        ("fine 0.5", ("--out", "NUL.onnx"), ("Windows",)),
        ("fine 0.5", ("--out", "net.tflite"), ("should be a folder", ".onnx")),
        ("fine 0.5", ("--out", "net.pt", "--format", "onnx"), ("can hold PyTorch alone",)),
        ("fine 0.5", ("--out", "net.onnx", "--name", "other"), ("--name",)),
        ("fine 0.5", ("--out", "file/inside", "--format", "torch"), ("cannot be written",)),
        ("fine 0.5", ("--out", "net.pt", "--normalise"), ("--normalise", "onnx and openvino")),
        ("fine 0.5", ("--out", "json.pt", "--subset", "50"), ("hide a module",)),
        ("fine 1.5", ("--out", "net.pt"), ("ratio",)),
        ("nothing", ("--out", "net.pt"), ("neither a checkpoint nor a setting",)),
        ("gone.safetensors", ("--out", "net.pt"), ("There is no checkpoint",)),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run,
    options: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    setting: str,
    asked: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "file").write_text("")
    monkeypatch.chdir(folder)
    outcome = run("export", setting, *asked, *options)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err
    assert names_in(folder) == {"file"}


def test_an_unwritable_folder_and_a_missing_package_are_found_first(
    run: Run, options: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *_, **__: False)
        asked = ("--out", tmp_path / "out", "--format", "torch")
        assert_refused(run("export", "fine 0.5", *asked, *options), "cannot be written")
    monkeypatch.setitem(sys.modules, "openvino", None)
    asked = ("--out", tmp_path / "out", "--format", "openvino")
    outcome = run("export", "fine 0.5", *asked, *options)
    assert_refused(outcome, "pip install -r requirements-export.txt")
    assert not (tmp_path / "out").exists()


def test_help_names_every_format(run: Run) -> None:
    outcome = run("export", "--help")
    assert outcome.code == 0
    for word in ("safetensors", "torch", "onnx", "openvino", "--normalise", "--zip", "--out"):
        assert word in outcome.out
