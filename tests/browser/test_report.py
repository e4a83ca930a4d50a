"""The report in the browser: downloaded from a page, opened without a connection, printed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.browser import SLIDER
from tests.browser.conftest import Visitor

A4_WIDTH, A4_HEIGHT = 680, 1009  # pixels within margins of 15 mm
DIGITS = "dataset=digits&baseline=resnet18-digits-2ep&ratio=0.5"


def downloaded(visitor: Visitor, folder: Path) -> Path:
    button = visitor.page.get_by_role("button", name="Report", exact=True)
    with visitor.page.expect_download() as waiting:
        button.click()
    file = folder / waiting.value.suggested_filename
    waiting.value.save_as(file)
    return file


@pytest.fixture
def reader(browser: Browser) -> Iterator[Callable[[Path], Page]]:
    """Opens files in a browser without a connection; fails if they ask for anything else."""
    context = browser.new_context(offline=True)
    troubles: list[str] = []

    def read(file: Path) -> Page:
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("data:", file.as_uri()))
                else troubles.append(request.url)
            ),
        )
        page.goto(file.as_uri())
        return page

    yield read
    context.close()
    assert troubles == []


def test_a_report_is_complete_without_a_connection(
    visitor: Visitor, reader: Callable[[Path], Page], tmp_path: Path
) -> None:
    visitor.open()
    visitor.wait_for_chart()
    visitor.page.focus(SLIDER)
    visitor.page.keyboard.press("ArrowRight")
    visitor.expect_ratio("0.31")
    accuracies = visitor.accuracies()
    file = downloaded(visitor, tmp_path)
    assert file.name == "pruning-compare-resnet18-cifar10-5ep-0.31-as-pruned.html"
    page = reader(file)
    expect(page).to_have_title("Compare · Pruning explorer")
    cards = page.get_by_role("row").filter(has_text="Accuracy")
    expect(cards.get_by_role("cell")).to_have_text(accuracies)
    chart = page.get_by_role("img", name="Accuracy of both pruning methods")
    box = chart.bounding_box()
    assert box is not None
    assert box["width"] > 500
    assert box["height"] > 200
    link = page.get_by_role("link").get_attribute("href")
    assert link is not None
    for part in ("netloc", "path"):
        assert getattr(urlsplit(link), part) == getattr(urlsplit(visitor.page.url), part)
    assert parse_qs(urlsplit(link).query) == parse_qs(urlsplit(visitor.page.url).query)
    visitor.expect_calm()


def test_a_preset_is_in_the_link(
    visitor: Visitor, reader: Callable[[Path], Page], tmp_path: Path
) -> None:
    visitor.open("/?weights=global&ratio=0.5")
    visitor.wait_for_chart()
    visitor.page.get_by_text("As in the study", exact=True).click()
    expect(visitor.page.get_by_text("masked · ratio 0.50")).to_be_visible()
    visitor.settle()
    link = reader(downloaded(visitor, tmp_path)).get_by_role("link").get_attribute("href")
    found = {name: values[-1] for name, values in parse_qs(urlsplit(str(link)).query).items()}
    assert found["channels"] == "masked"
    assert found.get("weights", "uniform") == "uniform"
    assert found["ratio"] == "0.5"


@pytest.mark.parametrize(
    "view", ["predictions?predictions=Images&", "layers?view=Close-up&", "layers?view=Reordering&"]
)
def test_no_chart_is_cut_when_printed(
    visitor: Visitor, reader: Callable[[Path], Page], tmp_path: Path, view: str
) -> None:
    visitor.open(f"/{view}{DIGITS}")
    visitor.wait_for_chart()
    page = reader(downloaded(visitor, tmp_path))
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4_WIDTH, "height": A4_HEIGHT})
    figures = page.evaluate(
        """() => [...document.querySelectorAll("figure:has(svg)")].map(each => ({
            break: getComputedStyle(each).breakInside,
            ...each.getBoundingClientRect().toJSON()}))"""
    )
    assert len(figures) > 0
    for figure in figures:
        assert figure["break"] == "avoid"
        assert figure["height"] < A4_HEIGHT
        assert figure["right"] <= A4_WIDTH
    assert page.pdf(format="A4").startswith(b"%PDF")
    visitor.expect_calm()
