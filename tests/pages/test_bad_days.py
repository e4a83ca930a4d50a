"""The app where the disk is full, files go away, and addresses are hostile."""

import os
import random
import shutil
from pathlib import Path

import pytest
import streamlit as st

from core import paths
from core.baselines.shelf import available
from core.data.dataset import DataSet
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from tests.conftest import full_disk
from tests.pages.conftest import PAGES, OpenApp, assert_calm, metadata_of
from tests.pages.test_pages import metrics, words
from tests.small_networks import Widths, random_network

HOSTILE = "<img src=x onerror=alert(1)>"
PARAMETERS = (
    *("ratio", "match", "recovery", "criterion", "weights", "allocation", "channels", "scope"),
    *("subset", "seed", "dataset", "baseline", "x", "study", "scan", "layer", "present", "tour"),
)
VALUES = (
    *(HOSTILE, "'; DROP TABLE results; --", "../../../etc/passwd", "{{7*7}}", "\x00", "\u202e", ""),
    *("nan", "inf", "-1", "1e309", "9" * 400, "0x10", "1,5", "True", "null", "[]", "ä" * 300),
    *("**bold** [link](javascript:alert(1))", ":material/warning:", "$x^2$", "%00%0a", "__proto__"),
)
RUNS = 28  # of 18 values each


@pytest.mark.usefixtures("small_baselines")
@pytest.mark.parametrize("page", PAGES)
def test_hostile_addresses_change_nothing_and_nothing_of_them_is_shown(
    open_app: OpenApp, page: str
) -> None:
    draw = random.Random(page)
    for _ in range(-(-RUNS // len(PAGES))):
        query = {name: draw.choice([*VALUES, random_text(draw)]) for name in PARAMETERS}
        app = open_app(page, **(query | {"dataset": "digits", "subset": "50"}))
        assert_calm(app)
        shown = repr(app.main) + repr(app.sidebar)
        assert "onerror" not in shown
        assert "Pruning ratio" in shown or "Parameters removed" in shown  # so markup would be seen


def random_text(draw: random.Random) -> str:
    return "".join(chr(draw.randrange(1, 0xD7FF)) for _ in range(draw.randrange(1, 40)))


@pytest.mark.usefixtures("small_baselines")
def test_on_a_full_disk_what_is_not_known_is_measured_and_shown_and_it_is_said(
    open_app: OpenApp,
) -> None:
    open_app(dataset="digits", subset="50")
    with full_disk():
        app = open_app(dataset="digits", subset="50", ratio="0.4")
        again = open_app(dataset="digits", subset="50", ratio="0.3")
    for each in (app, again):
        assert_calm(each)
        assert all(value.endswith("%") for value in metrics(each)["Accuracy"])
        assert "nothing new is kept" in words(each)


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_on_a_full_disk_and_with_no_store_a_page_says_so(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with full_disk():
        app = open_app(dataset="digits")
    assert "results.sqlite" in words(app)


@pytest.mark.usefixtures("small_baselines")
def test_in_a_folder_that_can_only_be_read_results_are_kept_apart(
    open_app: OpenApp, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = checkpoints / paths.LOCAL
    monkeypatch.setattr("core.results.database.os.access", lambda path, _: path != local)
    app = open_app(dataset="digits", subset="50")
    assert f"{local} cannot be written" in words(app)
    again = open_app(dataset="digits", subset="50")
    assert "50 images · stored" in words(again)
    assert not list(local.glob("*.sqlite"))


def test_a_baseline_swapped_for_another_is_seen_at_once(
    open_app: OpenApp, small_baselines: dict[str, Path], trained: Checkpoint
) -> None:
    app = open_app("layers", dataset="digits")
    before = words(app)
    other = random_network(Widths.regular(12))
    checkpoint.save(
        other, small_baselines["digits"], "digits", metadata_of(trained), overwrite=True
    )
    app.run()
    assert_calm(app)
    assert words(app) != before
    app.switch_page("pages/compare.py").run()
    assert_calm(app)


def test_a_baseline_that_goes_away_is_said(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    app = open_app(dataset="digits", subset="50")
    small_baselines["digits"].unlink()
    app.run()
    assert_calm(app)
    assert "no trained baseline" in words(app)


@pytest.mark.usefixtures("small_baselines")
def test_images_that_go_away_leave_what_was_read(
    open_app: OpenApp, cifar10: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(cifar10.test_labels)
    folder = tmp_path / "images"
    shutil.copytree(os.environ["CIFAR10_DIR"], folder)
    monkeypatch.setenv("CIFAR10_DIR", str(folder))
    app = open_app(subset="50")
    shutil.rmtree(folder)
    app.slider[0].set_value(0.45).run()
    assert_calm(app)
    assert all(value.endswith("%") for value in metrics(app)["Accuracy"])
    st.cache_resource.clear()
    app.slider[0].set_value(0.46).run()
    assert_calm(app)
    assert str(folder) in words(app)
    assert available("cifar10")
