"""A server that is killed in the middle of its work loses at most the step under way."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.browser import server
from core.results import open_store
from tests.browser.conftest import Visitor

TRAIN_A_NARROW_NETWORK = """\
from functools import partial

from core.baselines.request import Request
from core.ui.baseline import training

training.Request = partial(Request, width=16)
"""


@pytest.fixture
def own_folder(app_folder: Path, tmp_path: Path) -> Path:
    """A copy of the app that trains networks of width 16."""
    folder = Path(shutil.copytree(app_folder, tmp_path / "app"))
    app = folder / "app.py"
    app.write_text(TRAIN_A_NARROW_NETWORK + app.read_text())
    return folder


def visit(browser: Browser, address: str, path: str) -> Visitor:
    """After the app itself: a server's first visitor, on a page's own address, has Streamlit ask
    the network for that page's icon before it gets the app's.
    """
    visitor = Visitor(browser.new_page(viewport={"width": 1280, "height": 720}), address)
    return visitor.open("/").open(path)


def test_a_training_goes_on_from_its_last_finished_epoch(
    browser: Browser, own_folder: Path, offline: dict[str, str]
) -> None:
    epoch = re.compile(r"Epoch (\d) of 3")

    def train(visitor: Visitor) -> None:
        visitor.page.get_by_role("spinbutton", name="Epochs").fill("3")
        visitor.page.get_by_test_id("stBaseButton-primaryFormSubmit").click()

    with server(own_folder, offline) as (address, process):
        visitor = visit(browser, address, "/baseline?dataset=digits")
        train(visitor)
        expect(visitor.page.get_by_text("Epoch 2 of 3")).to_be_visible()
        process.kill()
    with server(own_folder, offline) as (address, _):
        visitor = visit(browser, address, "/baseline?dataset=digits")
        train(visitor)
        first = visitor.page.get_by_text(epoch).first
        expect(first).to_be_visible()
        found = epoch.search(first.inner_text())
        assert found is not None
        assert int(found[1]) >= 2
        finished = visitor.page.get_by_text(re.compile(r"\d of 500 test images right"))
        expect(finished).to_be_visible()
        visitor.expect_calm()


def test_a_scan_keeps_every_point_that_was_finished(
    browser: Browser, own_folder: Path, offline: dict[str, str]
) -> None:
    progress = re.compile(r"(\d+) of (\d+) points")

    def missing(visitor: Visitor) -> int:
        caption = visitor.page.get_by_text("points of this scan are not measured yet")
        return int(caption.inner_text().split()[0].replace(",", ""))

    path = "/layers?dataset=digits&view=Sensitivity"
    with server(own_folder, offline) as (address, process):
        visitor = visit(browser, address, path)
        before = missing(visitor)
        visitor.page.get_by_role("button", name="Scan the layers").click()
        expect(visitor.page.get_by_text(re.compile(r": [3-9] of \d+ points"))).to_be_visible()
        found = progress.search(visitor.page.get_by_text(progress).inner_text())
        process.kill()
    assert found is not None
    with server(own_folder, offline) as (address, _):
        visitor = visit(browser, address, path)
        assert missing(visitor) <= before - int(found[1])
        visitor.expect_calm()
    assert open_store(own_folder / "checkpoints").notes == []
