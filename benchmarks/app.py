"""Benchmarks of the app in a real browser: cold start, slider and close-up."""

import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.benchmark import Measured
from benchmarks.browser import CHART, IDLE, SECONDS_TO_WAIT, SLIDER, chromium, serving

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

VIEWPORT: "ViewportSize" = {"width": 1280, "height": 900}
LAYER = ".st-key-layer input"
QUIET_MS = 500  # a page without changes for this long is done

# Records when a key was pressed, and when the main part of the page last changed.
WATCH = """() => {
    window.pressed = 0; window.changed = 0;
    document.addEventListener('keydown', () => { window.pressed = performance.now() }, true);
    new MutationObserver(() => { window.changed = performance.now() }).observe(
        document.querySelector("[data-testid='stMain']"),
        {subtree: true, childList: true, attributes: true, characterData: true});
}"""
SETTLED = f"""() => window.changed > window.pressed
    && performance.now() - window.changed > {QUIET_MS}"""


def cold_start(repeats: int) -> Measured:
    """Measure the seconds from the command to the first chart, in a fresh process."""
    seconds = []
    with chromium() as browser:
        page = browser.new_page(viewport=VIEWPORT)
        for _ in range(repeats):
            started = time.perf_counter()
            with serving() as address:
                page.goto(address)
                page.wait_for_selector(CHART, timeout=1000 * SECONDS_TO_WAIT)
                seconds.append(time.perf_counter() - started)
            page.goto("about:blank")
    return Measured(median(seconds), {"first chart": seconds})


def slider(repeats: int) -> Measured:
    """Measure the seconds from a key press on the slider to the last change of Compare."""
    seconds = _moves(("/",), repeats)
    return Measured(median(seconds["/"]), seconds)


def predictions(repeats: int) -> Measured:
    """Measure the same on the slowest of the views of Predictions that follow the slider."""
    seconds = _moves(
        tuple(f"/predictions?predictions={view}" for view in ("Classes", "Confusions", "Images")),
        repeats,
    )
    return Measured(max(map(median, seconds.values())), seconds)


def efficiency(repeats: int) -> Measured:
    """Measure the same on the slowest of the views of Efficiency that follow the slider."""
    seconds = _moves(
        tuple(f"/efficiency?efficiency={view}" for view in ("Time", "Frontier", "Size")), repeats
    )
    return Measured(max(map(median, seconds.values())), seconds)


def _moves(paths: Sequence[str], repeats: int) -> dict[str, list[float]]:
    """Press a key on the slider again and again; return the seconds of each move, by path."""
    seconds: dict[str, list[float]] = {path: [] for path in paths}
    with serving() as address, chromium() as browser:
        for path in paths:
            page = browser.new_page(viewport=VIEWPORT)
            page.goto(address + path)
            page.wait_for_selector(CHART, timeout=1000 * SECONDS_TO_WAIT)
            page.wait_for_selector(IDLE)
            page.evaluate(WATCH)
            page.focus(SLIDER)
            for number in range(repeats + 1):
                page.keyboard.press("ArrowRight")
                page.wait_for_function(SETTLED, timeout=1000 * SECONDS_TO_WAIT)
                if number > 0:  # skip the warm-up
                    took = page.evaluate("(window.changed - window.pressed) / 1000")
                    seconds[path].append(took)
            page.close()
    return seconds


def close_up(repeats: int) -> Measured:
    """Measure the seconds from choosing a layer to the page's last change."""
    seconds = []
    with serving() as address, chromium() as browser:
        page = browser.new_page(viewport=VIEWPORT)
        page.goto(f"{address}/layers?view=Close-up")
        page.wait_for_selector(CHART, timeout=1000 * SECONDS_TO_WAIT)
        page.wait_for_selector(IDLE)
        page.evaluate(WATCH)
        for number in range(repeats + 1):
            page.focus(LAYER)
            for key in ("ArrowDown", "ArrowDown", "Enter"):  # open the list, move down, choose
                page.keyboard.press(key)
            page.wait_for_function(SETTLED, timeout=1000 * SECONDS_TO_WAIT)
            if number > 0:
                seconds.append(page.evaluate("(window.changed - window.pressed) / 1000"))
    return Measured(median(seconds), {"choice to screen": seconds})
