"""The page Efficiency in the browser: a click on the frontier, files to take, a phone."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor
from tests.browser.test_app import expect_query

Visit = Callable[..., Visitor]
DIGITS = "/efficiency?dataset=digits&baseline=resnet18-digits-2ep&ratio=0.5"


def test_a_click_on_the_frontier_sets_the_sidebar(visitor: Visitor) -> None:
    page = visitor.open(
        "/efficiency?baseline=resnet18-cifar10-5ep&ratio=0.5&efficiency=Frontier"
    ).page
    visitor.wait_for_chart()
    marks = page.locator("path[aria-roledescription='point']").all()
    labels = [str(mark.get_attribute("aria-label")) for mark in marks]
    wanted = next(number for number, label in enumerate(labels) if "channel 0.21" in label)
    marks[wanted].click(force=True)
    expect_query(page, ratio="0.21")
    visitor.settle()
    assert visitor.ratio() == 0.21
    visitor.expect_calm()


def test_the_network_is_taken_away_as_one_archive(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.open(f"{DIGITS}&efficiency=Take+away").page
    page.get_by_role("button", name="Make the files").focus()
    page.keyboard.press("Enter")
    archive = page.get_by_role("button", name=re.compile(r"\.zip$"))
    expect(archive).to_be_visible(timeout=120_000)
    with page.expect_download() as waiting:
        archive.click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == "resnet18_digits_2ep_channel_0_5.zip"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as found:
        assert found.testzip() is None
        names = set(found.namelist())
        card = json.loads(found.read(f"{path.stem}.card.json"))
    assert names == {path.stem + ending for ending in (".onnx", ".card.json", ".card.md")}
    assert card["setting"] == "channel 0.5"
    visitor.expect_calm()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["Time", "Frontier", "Size", "Take+away"])
def test_a_phone_shows_each_view_within_its_width(visitors: Visit, theme: str, view: str) -> None:
    visitor = visitors(theme, 390, 844).open(f"{DIGITS}&efficiency={view}")
    widths = visitor.page.evaluate(
        """() => { const main = document.querySelector("[data-testid='stMain']");
                   return [main.scrollWidth, main.clientWidth]; }"""
    )
    assert widths[0] <= widths[1]
    visitor.expect_calm()
