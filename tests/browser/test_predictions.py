"""The page Predictions in the browser: pictures, the keyboard, clicks, a phone, many viewers."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.browser.test_app import expect_query

Visit = Callable[..., Visitor]
DIGITS = "dataset=digits&baseline=resnet18-digits-2ep&ratio=0.5"
IMAGES = f"/predictions?{DIGITS}&predictions=Images"


def pictures(page: Page) -> list[dict[str, object]]:
    page.wait_for_selector(".gallery .picture")
    found: list[dict[str, object]] = page.evaluate(
        """() => [...document.querySelectorAll(".gallery .picture")].map(each => ({
            alt: each.alt, natural: each.naturalWidth, width: each.getBoundingClientRect().width,
            rendering: getComputedStyle(each).imageRendering}))"""
    )
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_pictures_are_enlarged_without_blur(
    visitors: Visit, theme: str, width: int, height: int
) -> None:
    visitor = visitors(theme, width, height).open(IMAGES)
    found = pictures(visitor.page)
    assert len(found) == 24
    for each in found:
        assert each["natural"] == each["width"] == 96  # three times as large: pixels are squares
        assert each["rendering"] == "pixelated"
        assert re.fullmatch(r"Test image \d+, \d: before \d, after \d", str(each["alt"]))
    widths = visitor.page.evaluate(
        """() => { const main = document.querySelector("[data-testid='stMain']");
                   return [main.scrollWidth, main.clientWidth]; }"""
    )
    assert widths[0] <= widths[1], json.dumps(widths)
    visitor.expect_calm()


def test_the_filter_works_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open(IMAGES).page
    before = [each["alt"] for each in pictures(page)]
    page.get_by_role("combobox", name="Images").focus()
    page.keyboard.type("still wrong")
    page.keyboard.press("Enter")
    expect_query(page, flip="still wrong")
    expect(page.get_by_text("on page 1 of")).to_be_visible()
    visitor.settle()
    after = [str(each["alt"]) for each in pictures(page)]
    assert after != before
    for alt in after:
        true, was, now = re.findall(
            r"(\d)(?:,|:|$| )", alt.split(", ", 1)[1].replace(", after", "")
        )
        assert was != true != now
    page.get_by_label("Page", exact=True).fill("2")
    page.keyboard.press("Enter")
    expect_query(page, image_page="2")
    expect(page.get_by_text("on page 2 of")).to_be_visible()
    visitor.settle()
    assert not {each["alt"] for each in pictures(page)} & set(after)
    visitor.expect_calm()


def test_a_click_on_a_confusion_shows_its_images(visitor: Visitor) -> None:
    page = visitor.open(f"/predictions?{DIGITS}&predictions=Confusions&confusions_of=after").page
    visitor.wait_for_chart()
    cells = page.locator("path[aria-roledescription='rect mark']").all()
    labels = [str(cell.get_attribute("aria-label")) for cell in cells]
    number = next(place for place, label in enumerate(labels) if "Images: 0" not in label)
    label, chosen = labels[number], cells[number]
    chosen.click()
    expect(page.get_by_role("tab", name="Images", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    visitor.settle()
    described = dict(part.split(": ", 1) for part in label.split("; ") if ": " in part)
    expect_query(page, answer_after=described["Answer"], flip="any direction")
    for each in pictures(page):
        assert str(each["alt"]).endswith(f"after {described['Answer']}")
    visitor.expect_calm()


def test_what_a_link_says_is_what_it_shows(visitors: Visit) -> None:
    link = f"{IMAGES}&flip=gained&before=Channels%2C+as+pruned&after=Channels%2C+BN+recalibrated"
    one, other = visitors().open(link), visitors("dark").open(link)
    assert [each["alt"] for each in pictures(one.page)] == [
        each["alt"] for each in pictures(other.page)
    ]
    one.expect_calm()
    other.expect_calm()
