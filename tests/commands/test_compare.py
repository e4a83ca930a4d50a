"""`compare`: both networks on the same images, counted directly; stored results need no image."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from core import paths
from core.data import loading
from core.data.dataset import DataMissingError, DataSet, subset_indices
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.pruning import prune
from core.specs.pruning import PruningSpec
from tests.commands.conftest import Run, assert_refused


@pytest.fixture
def baseline(trained: Checkpoint, tmp_path: Path) -> Path:
    return Path(shutil.copy(trained.path, tmp_path / "baseline.safetensors"))


def test_flips_are_those_of_both_networks(
    run: Run, baseline: Path, trained: Checkpoint, digits: DataSet
) -> None:
    options = ("--dataset", "digits", "--baseline", baseline, "--subset", 200, "--seed", 3)
    result = run("compare", "unpruned", "channel 0.5", *options, "--json").result
    chosen = subset_indices(digits.test_labels, 200, seed=3)
    pruned = prune(trained.network, PruningSpec("channel", 0.5)).network
    was, now = (
        evaluate_fully(each, digits.test_images[chosen], digits.test_labels[chosen])
        for each in (trained.network, pruned)
    )
    lost = int(np.sum(was.is_right & ~now.is_right))
    gained = int(np.sum(~was.is_right & now.is_right))
    assert (result["lost"], result["gained"]) == (lost, gained)
    assert result["p_value"] == pytest.approx(binomtest(lost, lost + gained).pvalue)
    assert result["agreement"] == pytest.approx(np.mean(was.predictions == now.predictions))
    assert (result["before"]["correct"], result["after"]["correct"]) == (was.correct, now.correct)
    classes = result["classes"]
    assert sum(each["seen"] for each in classes) == 200
    assert sum(each["lost"] for each in classes) == lost
    assert {each["name"] for each in classes} == {str(digit) for digit in range(10)}
    changes = [each["right_after"] - each["right_before"] for each in classes]
    assert changes == sorted(changes)


def test_files_are_compared_as_settings_are(run: Run, baseline: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.safetensors"
    chosen = ("--dataset", "digits", "--baseline", baseline)
    run("prune", *chosen, "--method", "channel", "--ratio", 0.5, "--out", narrow)
    by_file = run("compare", baseline, narrow, *chosen, "--json").result
    by_setting = run("compare", "unpruned", "channel 0.5", *chosen, "--json").result
    for result in (by_file, by_setting):
        assert result["before"].pop("network") != result["after"].pop("network")
    assert by_file == by_setting


def test_what_was_measured_needs_no_images(
    run: Run, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--dataset", "digits", "--baseline", baseline, "--json")
    first = run("compare", "fine 0.9", "fine 0.9 recovery=bn", *options).result

    def missing(*_: object, **__: object) -> DataSet:
        raise DataMissingError("The images are not on this machine.")

    monkeypatch.setattr(loading, "load", missing)
    assert run("compare", "fine 0.9", "fine 0.9 recovery=bn", *options).result == first
    assert_refused(run("compare", "fine 0.9", "fine 0.8", *options), "not on this machine")


def test_the_precision_that_is_asked_for_is_that_of_the_result(run: Run, baseline: Path) -> None:
    options = ("--dataset", "digits", "--baseline", baseline, "--subset", 100, "--json")
    for precision in ("bf16", "fp32", "bf16"):
        asked = (*options, "--precision", precision)
        assert run("compare", "unpruned", "fine 0.5", *asked).result["precision"] == precision


def test_two_files_need_no_baseline_beside_them(run: Run, baseline: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(baseline, tmp_path / "other.safetensors"))
    result = run("compare", baseline, other, "--dataset", "digits", "--json").result
    assert (result["lost"], result["gained"], result["agreement"]) == (0, 0, 1.0)


def test_the_text_says_it_in_words(run: Run, baseline: Path) -> None:
    options = ("--dataset", "digits", "--baseline", baseline)
    said = run("compare", "unpruned", "channel 0.9", *options)
    assert said.code == 0
    assert "a real loss (McNemar, exact, p = " in said.out
    assert "Both give the same answer to " in said.out
    same = run("compare", "unpruned", "unpruned", *options)
    assert "Lost 0, won 0: can't be told apart" in same.out
    assert "No image changed sides." in same.out


@pytest.mark.parametrize(
    ("sides", "word"),
    [
        (("unpruned", "channels"), "names neither a checkpoint nor a setting"),
        (("unpruned", "nowhere.safetensors"), "nowhere.safetensors"),
        (("unpruned", "channel 0.5 recovery=magic"), "magic"),
        (("unpruned", "channel 0.555"), "hundredths"),
    ],
)
def test_bad_sides_are_refused(run: Run, baseline: Path, sides: tuple[str, str], word: str) -> None:
    assert_refused(run("compare", *sides, "--dataset", "digits", "--baseline", baseline), word)
    assert checkpoint.load(baseline, "digits")
    assert not list(paths.CHECKPOINTS.glob("*.csv"))
