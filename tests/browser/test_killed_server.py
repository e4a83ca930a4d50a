"""A server that is killed in the middle of its work loses at most the step under way."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.browser import server
from core.results import open_store
from tests.browser.conftest import Visitor, ask_for_the_app

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


@contextmanager
def visitor_of(
    browser: Browser, folder: Path, environment: dict[str, str], path: str
) -> Iterator[tuple[Visitor, "subprocess.Popen[bytes]"]]:
    """Somebody on a page of a server of its own, and the server's process.

    They come after somebody else: the first visitor, on a page's own address, has Streamlit ask the
    network for that page's icon before it gets the app's.
    """
    with server(folder, environment) as (address, process):
        ask_for_the_app(address)
        # A page that stays open looks for a killed server until the last test.
        with browser.new_page(viewport={"width": 1280, "height": 720}) as page:
            yield Visitor(page, address).open(path), process


def test_a_training_goes_on_from_its_last_finished_epoch(
    browser: Browser, own_folder: Path, offline: dict[str, str]
) -> None:
    epoch = re.compile(r"Epoch (\d) of 3")

    def train(visitor: Visitor) -> None:
        visitor.page.get_by_role("spinbutton", name="Epochs").fill("3")
        visitor.page.get_by_role("button", name="Train", exact=True).click()

    path = "/baseline?dataset=digits"
    with visitor_of(browser, own_folder, offline, path) as (visitor, process):
        train(visitor)
        expect(visitor.page.get_by_text("Epoch 2 of 3")).to_be_visible()
        process.kill()
    with visitor_of(browser, own_folder, offline, path) as (visitor, _):
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
    with visitor_of(browser, own_folder, offline, path) as (visitor, process):
        before = missing(visitor)
        visitor.page.get_by_role("button", name="Scan the layers").click()
        expect(visitor.page.get_by_text(re.compile(r": [3-9] of \d+ points"))).to_be_visible()
        found = progress.search(visitor.page.get_by_text(progress).inner_text())
        process.kill()
    assert found is not None
    with visitor_of(browser, own_folder, offline, path) as (visitor, _):
        assert missing(visitor) <= before - int(found[1])
        visitor.expect_calm()
    assert open_store(own_folder / "checkpoints").notes == []
