"""The app as a person uses it: mouse, keyboard, addresses, several browsers at once."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
import torch
from playwright.sync_api import Page, expect

from benchmarks.browser import CHART, SLIDER
from core.networks.checkpoint import Checkpoint
from core.results import RESULTS_SUFFIX
from core.ui.tour.tour import STOPS
from tests.browser.conftest import FIVE_EPOCHS, SLOW, Visitor
from tests.pages.conftest import PAGES

Visit = Callable[..., Visitor]


def query_of(url: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}


def expect_query(page: Page, **expected: str) -> None:
    """Wait for these among the parameters: on another page they are set by a run of their own."""
    page.wait_for_url(lambda url: expected.items() <= query_of(url).items())


def expect_path(page: Page, path: str) -> None:
    page.wait_for_url(lambda url: urlsplit(url).path == path)


def path_of(page_name: str) -> str:
    return "/" if page_name == "compare" else f"/{page_name}"


@pytest.mark.parametrize("page_name", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_page_opens_calmly_with_no_way_to_the_network(
    visitors: Visit, page_name: str, theme: str
) -> None:
    visitor = visitors(theme).open(path_of(page_name))
    if page_name not in ("tour", "methods", "efficiency"):  # nothing is timed here
        visitor.wait_for_chart()
    visitor.expect_calm()


def test_the_first_screen_answers_the_question_without_scrolling(visitor: Visitor) -> None:
    visitor.open().wait_for_chart()
    shown = [
        visitor.page.get_by_role("heading").first,
        visitor.page.locator(SLIDER),
        *visitor.page.get_by_test_id("stMetricValue").all(),
        visitor.page.locator(CHART),
    ]
    for each in shown:
        box = each.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < box["y"] + box["height"] <= 720


def test_arrow_keys_and_the_mouse_move_the_slider_and_the_address(visitor: Visitor) -> None:
    page = visitor.open().page
    page.focus(SLIDER)
    page.keyboard.press("ArrowRight")
    visitor.expect_ratio("0.31")
    assert query_of(page.url)["ratio"] == "0.31"
    track = page.get_by_test_id("stSlider").bounding_box()
    handle = page.locator(SLIDER).bounding_box()
    assert track is not None
    assert handle is not None
    middle = handle["y"] + handle["height"] / 2
    page.mouse.click(track["x"] + 0.8 * track["width"], middle)
    expect(page.locator(SLIDER)).not_to_have_value("0.31")
    visitor.settle()
    assert visitor.ratio() > 0.6
    assert float(query_of(page.url)["ratio"]) == visitor.ratio()
    visitor.expect_calm()


def test_an_address_sets_the_controls_and_a_control_the_address(visitor: Visitor) -> None:
    page = visitor.open("/?ratio=0.55&recovery=BN+recalibrated&criterion=L1&channels=removed").page
    visitor.expect_ratio("0.55")
    assert page.get_by_text("removed + BN · ratio 0.55").is_visible()
    page.get_by_test_id("stSidebarContent").get_by_text("as pruned", exact=True).click()
    expect(page.get_by_text("removed · ratio 0.55")).to_be_visible()
    visitor.settle()
    assert query_of(page.url) == {"ratio": "0.55"}  # what is as usual is not in the address
    visitor.expect_calm()


def test_the_next_page_keeps_what_was_set(visitor: Visitor) -> None:
    page = visitor.open("/?ratio=0.7&weights=global").page
    page.get_by_role("link", name="Layers").click()
    expect(page.get_by_text("Which layers can lose weights")).to_be_visible()
    visitor.settle()
    assert visitor.ratio() == 0.7
    expect_query(page, ratio="0.7", weights="global")
    page.get_by_role("link", name="Compare").click()
    visitor.expect_ratio("0.70")
    visitor.expect_calm()


def test_moving_the_slider_stops_an_evaluation_and_nothing_of_it_is_kept(
    visitor: Visitor,
) -> None:
    page = visitor.page
    page.goto(f"{visitor.address}/?dataset=digits&baseline={SLOW}&subset=500&ratio=0.5")
    expect(page.get_by_text("of 500 …").first).to_be_visible()
    page.focus(SLIDER)
    page.keyboard.press("ArrowRight")
    visitor.expect_ratio("0.51")
    assert page.get_by_text("500 images · live").count() == 2
    page.get_by_test_id("stPopoverButton").click()
    with page.expect_download() as waiting:
        page.get_by_test_id("stDownloadButton").filter(has_text="CSV").locator(
            "button"
        ).first.click()
    points = pd.read_csv(waiting.value.path())
    assert set(points[points["ratio"] > 0]["ratio"]) <= {0.5, 0.51}
    stopped = points[(points["ratio"] == 0.5) & (points["method"] == "Channels")]
    assert len(stopped) == 0  # the second to come, so it cannot have been finished
    visitor.expect_calm()


def test_a_click_on_a_curve_moves_the_slider_there(visitor: Visitor) -> None:
    page = visitor.open().page
    visitor.wait_for_chart()
    box = page.locator(CHART).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.6 * box["height"])
    expect(page.locator(SLIDER)).not_to_have_value("0.3")
    visitor.settle()
    clicked = visitor.ratio()
    assert 0.5 < clicked < 0.8
    assert float(query_of(page.url)["ratio"]) == clicked

    page.focus(SLIDER)  # and back again, with a click on the same point
    page.keyboard.press("ArrowRight")
    expect(page.locator(SLIDER)).not_to_have_value(str(clicked))
    visitor.settle()
    visitor.wait_for_chart()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.6 * box["height"])
    expect(page.locator(SLIDER)).to_have_value(str(clicked))
    visitor.expect_calm()


def test_downloads_are_what_their_names_say(visitor: Visitor, app_folder: Path) -> None:
    page = visitor.open().page
    visitor.wait_for_chart()
    page.get_by_test_id("stPopoverButton").click()
    content = {}
    for kind in ("CSV", "SVG", "PNG"):
        button = (
            page.get_by_test_id("stDownloadButton").filter(has_text=kind).locator("button").first
        )
        with page.expect_download() as waiting:
            button.click()
        assert waiting.value.suggested_filename == f"accuracy.{kind.lower()}"
        content[kind] = Path(waiting.value.path()).read_bytes()
    points = pd.read_csv(io.BytesIO(content["CSV"]))
    shipped = pd.read_csv(
        app_folder / "checkpoints" / f"{FIVE_EPOCHS}{RESULTS_SUFFIX}", comment="#"
    )
    raw = points[(points["method"] == "Channels") & (points["recovery"] == "as pruned")]
    known = shipped[(shipped["method"] == "channel") & (shipped["recovery"] == "none")]
    found = dict(zip(raw["ratio"], raw["correct"], strict=True))
    expected = dict(zip(known["ratio"], known["correct"], strict=True))
    assert {ratio: found[ratio] for ratio in expected} == expected
    assert content["SVG"].startswith(b"<svg")
    assert b"BN recalibrated" in content["SVG"]
    assert content["PNG"].startswith(b"\x89PNG\r\n\x1a\n")
    visitor.expect_calm()


def test_two_browsers_do_not_see_each_others_controls(visitors: Visit) -> None:
    one, other = visitors().open("/?ratio=0.2"), visitors().open("/?ratio=0.6")
    for visitor in (one, other):
        visitor.page.focus(SLIDER)
        visitor.page.keyboard.press("ArrowRight")
    one.expect_ratio("0.21")
    other.expect_ratio("0.61")
    assert (one.ratio(), other.ratio()) == (0.21, 0.61)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_type_in_charts_stands_out_from_the_page(visitors: Visit, theme: str) -> None:
    page = visitors(theme).open().page
    page.wait_for_selector(CHART)
    background, *texts = page.evaluate(
        """() => {
            const of = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
            const texts = document.querySelectorAll("[data-testid='stVegaLiteChart'] svg text");
            return [of(getComputedStyle(document.querySelector("[data-testid='stApp']"))
                       .backgroundColor),
                    ...[...texts].map(text => of(getComputedStyle(text).fill))]; }"""
    )
    assert (luminance(background) < 0.05) == (theme == "dark")
    assert len(texts) > 10
    assert min(contrast(background, text) for text in texts) >= 4.5


def luminance(rgb: list[float]) -> float:
    """Relative, 0 to 1, by WCAG 2.2; of each channel 0 to 255."""
    parts = [value / 255 for value in rgb]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    """1 to 21; AA asks for 4.5."""
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def test_presenting_leaves_the_view_and_the_keys_move_the_ratio(visitor: Visitor) -> None:
    page = visitor.open("/?present=1").page
    visitor.wait_for_chart()
    assert not page.get_by_test_id("stSidebar").is_visible()
    assert not page.get_by_test_id("stHeader").is_visible()
    assert not page.get_by_text("Costs in full").is_visible()
    page.keyboard.press("ArrowRight")
    visitor.expect_ratio("0.35")
    page.keyboard.press("ArrowLeft")
    visitor.expect_ratio("0.30")
    page.keyboard.press("p")
    visitor.expect_ratio("0.95")
    assert query_of(page.url) == {"present": "1", "ratio": "0.95"}
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    assert "present" not in query_of(page.url)
    visitor.expect_calm()


def test_the_tour_can_be_given_with_a_remote_control(visitor: Visitor) -> None:
    page = visitor.open("/tour").page
    page.get_by_role("button", name="Present the tour").click()
    for number in range(1, 6):
        expect(page.get_by_text(f"{number} of 5")).to_be_visible()
        expect_path(page, path_of(STOPS[number - 1].page))
        expect_query(page, tour=str(number), present="1")
        visitor.settle()
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        visitor.expect_calm()
        if number < 5:
            page.keyboard.press("PageDown")
    expect_query(page, ratio="0.5", weights="global")
    page.keyboard.press("PageUp")
    expect(page.get_by_text("4 of 5")).to_be_visible()
    expect_query(page, recovery="BN recalibrated")
    expect_path(page, "/")
    visitor.settle()
    visitor.expect_calm()


@pytest.mark.parametrize("page_name", PAGES)
def test_escape_leaves_the_presentation_on_every_page(visitor: Visitor, page_name: str) -> None:
    page = visitor.open(f"{path_of(page_name)}?present=1").page
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    assert "present" not in query_of(page.url)
    visitor.expect_calm()


def test_a_stop_of_the_tour_leaves_room_for_its_chart_and_the_keys_work(visitor: Visitor) -> None:
    page = visitor.open("/?present=1&tour=4").page  # 1280 by 720, as many projectors
    visitor.wait_for_chart()
    box = page.locator(CHART).bounding_box()
    assert box is not None
    assert box["y"] + 220 < 720  # legend and lines
    page.keyboard.press("ArrowRight")
    visitor.expect_ratio("0.35")
    visitor.expect_calm()


@pytest.mark.parametrize("page_name", PAGES)
def test_nothing_is_wider_than_a_phone(visitors: Visit, page_name: str) -> None:
    visitor = visitors(width=390, height=844).open(path_of(page_name))
    widths = visitor.page.evaluate(
        """() => { const main = document.querySelector("[data-testid='stMain']");
                   return [main.scrollWidth, main.clientWidth]; }"""
    )
    assert widths[0] <= widths[1], json.dumps(widths)


@pytest.mark.parametrize("width", [390, 853, 1060, 1280])  # 853: 1280 at a zoom of 150%
@pytest.mark.parametrize("page_name", ["compare", "baseline"])
def test_no_number_is_cut_off(visitors: Visit, page_name: str, width: int) -> None:
    visitor = visitors(width=width, height=700).open(path_of(page_name))
    expect(visitor.page.get_by_test_id("stMetricValue").first).to_be_visible()
    cut = visitor.page.evaluate(
        """() => [...document.querySelectorAll("[data-testid='stMetricValue'] *")]
            .filter(each => each.scrollWidth > each.clientWidth + 1)
            .map(each => each.textContent)"""
    )
    assert cut == []


def test_a_network_is_uploaded_and_used(
    visitor: Visitor, trained: Checkpoint, tmp_path: Path
) -> None:
    file = tmp_path / "from last year.pth"
    torch.save({"state_dict": trained.network.tensors()}, file)
    visitor.open("/baseline?dataset=digits")
    page = visitor.page
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(file.name)).to_be_visible()
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Choose it in the sidebar")).to_be_visible()
    page.get_by_role("button", name="Use it now").click()
    visitor.settle()
    expect_query(page, baseline="resnet18-digits-from-last-year")
    visitor.expect_calm()
