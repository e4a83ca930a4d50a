"""Own images on the command line: from training to pruning, by the folder's name alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import paths
from core.data import loading
from core.networks import checkpoint
from core.results import open_store
from tests.commands.conftest import Run, assert_refused


def write_colours(place: Path, classes: int, train: int, test: int, size: int = 16) -> None:
    """Write noise of one colour for each class."""
    rng = np.random.default_rng(classes)
    for label in range(classes):
        colour = rng.integers(0, 200, 3)
        for part, images in (("train", train), ("test", test)):
            folder = place / part / f"class {label:03}"
            folder.mkdir(parents=True)
            for number in range(images):
                pixels = colour + rng.integers(0, 50, (size, size, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 3 classes, 48 training and 12 test images."""
    monkeypatch.delenv("EXPLORER_DATA", raising=False)
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    write_colours(tmp_path / "secret place" / "my colours", 3, 16, 4)
    return tmp_path / "secret place" / "my colours"


def test_a_network_is_trained_and_pruned_on_own_images(
    run: Run,
    colours: Path,
    tmp_path: Path,
) -> None:
    named = ("--dataset", f"folder:{colours}")
    trained = run(
        *("train", *named, "--image-size", 16, "--width", 8, "--optimiser", "sgd"),
        *("--translate", 0, "--json"),
    )
    assert trained.result["correct"] >= 10
    file = Path(trained.result["file"])
    assert file.name.startswith("resnet18-my-colours-16px-")
    metadata = checkpoint.read_metadata(file)
    assert metadata["dataset"] == metadata["data"]["source"] == "folder:my colours"
    assert metadata["class_names"] == [f"class {number:03}" for number in range(3)]
    assert (metadata["classes"], metadata["image_size"]) == (3, 16)
    assert "secret" not in json.dumps(metadata)

    evaluated = run("evaluate", *named, "--json").result
    assert evaluated["correct"] == trained.result["correct"]
    assert run("evaluate", file, *named, "--json").result["correct"] == evaluated["correct"]

    out = tmp_path / "pruned.safetensors"
    pruned = run(
        *("prune", *named, "--method", "channel", "--ratio", 0.2, "--recovery", "bn"),
        *("--out", out, "--json"),
    )
    assert run("evaluate", out, *named, "--json").result["correct"] == pruned.result["correct"]
    assert checkpoint.read_metadata(out)["class_names"] == metadata["class_names"]

    swept = run("sweep", *named, "--ratios", "0,0.2", "--methods", "channel", "--json").result
    counts = {(each["ratio"], each["recovery"]): each["correct"] for each in swept["results"]}
    assert counts[0, "none"] == evaluated["correct"]
    assert counts[0.2, "bn"] == pruned.result["correct"]
    assert run("scan", *named, "--ratios", "0.5", "--methods", "channel").code == 0
    store = paths.CHECKPOINTS / "local" / "results.sqlite"
    assert b"secret" not in store.read_bytes()
    assert open_store(paths.CHECKPOINTS).notes == []


def test_own_images_that_are_not_named_are_asked_for(
    run: Run,
    colours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = ("--dataset", f"folder:{colours}")
    assert_refused(run("evaluate", *named), "no baseline for folder:my colours", "folder:PATH")
    out = tmp_path / "baseline.safetensors"
    options = ("--width", 4, "--epochs", 1, "--out", out, "--image-size", 16, "--translate", 0)
    first = run("train", *named, *options, "--json").result
    monkeypatch.setattr(loading, "download", lambda *_: pytest.fail("it was downloaded"))
    assert_refused(run("evaluate", out), "folder:my colours", "EXPLORER_DATA")
    assert_refused(run("evaluate", out, "--dataset", "digits"), "folder:my colours")
    pruned = ("prune", "--baseline", out, "--method", "fine", "--ratio", 0.1)
    assert_refused(run(*pruned), "cifar10", "folder:my colours")
    monkeypatch.setenv("EXPLORER_DATA", str(colours))
    assert run("evaluate", out, "--json").result["correct"] == first["correct"]


def test_a_baseline_of_other_images_in_a_folder_of_that_name_is_refused(
    run: Run,
    colours: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "baseline.safetensors"
    options = ("--width", 4, "--epochs", 1, "--out", out, "--image-size", 16, "--translate", 0)
    run("train", "--dataset", f"folder:{colours}", *options)
    other = tmp_path / "other" / "my colours"
    write_colours(other, 3, 2, 2)
    named = ("--dataset", f"folder:{other}")
    assert_refused(run("train", *named, *options), str(out), "other images", "--overwrite")
    (other / "train" / "class 001").rename(other / "train" / "lion")
    (other / "test" / "class 001").rename(other / "test" / "lion")
    assert_refused(run("evaluate", out, *named), "'class 001'", "'class 002'")
    write_colours(tmp_path / "more" / "my colours", 4, 1, 1)
    more = ("--dataset", f"folder:{tmp_path / 'more' / 'my colours'}")
    assert_refused(run("evaluate", out, *more), "has 3 classes", "has 4")
    for command in (("sweep", "--ratios", "0"), ("scan",), ("choose",)):
        assert_refused(run(*command, *more, "--baseline", out), "has 3 classes")
    start = ("--start-from", out, "--epochs", 1, "--width", 4)
    assert_refused(run("train", *more, *start), "has 3 classes")


def test_changed_images_train_a_baseline_of_their_own(run: Run, colours: Path) -> None:
    command = ("train", "--dataset", f"folder:{colours}", "--width", 4, "--epochs", 1, "--json")
    first = run(*command, "--image-size", 16).result["file"]
    assert run(*command, "--image-size", 16).result["file"] == first
    assert run(*command, "--image-size", 8).result["file"] != first
    (colours / "train" / "class 001" / "0.png").unlink()
    assert run(*command, "--image-size", 16).result["file"] != first


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v2"])
def test_two_images_are_enough(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    write_colours(tmp_path / "two", 2, 1, 1, size=8)
    named = ("--dataset", f"folder:{tmp_path / 'two'}")
    size = ("--network", network, "--width", 8, "--image-size", 8, "--epochs", 2)
    result = run("train", *named, *size, "--json").result
    assert result["seen"] == 2
    swept = run("sweep", *named, "--ratios", "0,0.5", "--json").result
    assert {each["seen"] for each in swept["results"]} == {2}


def test_300_classes_are_learned_counted_and_stored(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    place = tmp_path / "many"
    write_colours(place, 300, 1, 1, size=18)
    named = ("--dataset", f"folder:{place}")
    train = ("train", *named, "--width", 8, "--epochs", 1, "--image-size", 18, "--json")
    result = run(*train).result
    assert result["seen"] == 300
    first, second = (
        run("sweep", *named, "--ratios", "0,0.1", "--subset", 200, "--json").result
        for _ in range(2)
    )
    assert first["measured"] == 6
    assert second == first | {"measured": 0}
    export = tmp_path / "many.csv"
    assert run("sweep", *named, "--ratios", "0,0.1", "--export", export, "--json").code == 0
    (whole,) = {
        each["correct"]
        for each in run("sweep", *named, "--ratios", "0", "--recoveries", "none", "--json").result[
            "results"
        ]
    }
    assert whole == result["correct"]
    labels = open_store(paths.CHECKPOINTS).test_labels(
        checkpoint.read_metadata(Path(result["file"]))["data"]["fingerprint"]
    )
    assert labels is not None
    assert sorted(labels.tolist()) == list(range(300))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dataset", "folder:"), ["folder:PATH"]),
        (("--dataset", "folder:/nowhere/at/all"), ["There is no folder /nowhere/at/all"]),
        (("--dataset", "mnist"), ["'mnist'", "cifar100", "folder:PATH"]),
        (("--image-size", 64), ["CIFAR-10", "--image-size"]),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    run: Run,
    options: tuple[object, ...],
    words: list[str],
) -> None:
    assert_refused(run("train", *options), *words)


def test_a_size_out_of_range_is_refused(run: Run, colours: Path) -> None:
    outcome = run("train", "--dataset", f"folder:{colours}", "--image-size", 500)
    assert_refused(outcome, "8 to 224", "500")
