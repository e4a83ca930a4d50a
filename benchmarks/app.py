"""The app in a real browser: from the command to the first chart, from the slider to the screen."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.benchmark import CannotRunError, Measured

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
SECONDS_TO_WAIT = 120
CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CHART = "[data-testid='stVegaLiteChart'] svg.marks, [data-testid='stVegaLiteChart'] canvas"
IDLE = (
    "[data-testid='stApp'][data-test-connection-state='CONNECTED']"
    "[data-test-script-state='notRunning']"
)
SLIDER = "[data-testid='stSlider'] input[type=range]"
LAYER = ".st-key-layer input"
QUIET_MS = 500  # without a change on the page, after which it is done

# Notes when the key went down, and when anything in the page's main part last changed.
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
    """Seconds from the command to the first chart on the screen, in a fresh process."""
    seconds = []
    with _browser() as page:
        for _ in range(repeats):
            started = time.perf_counter()
            with _server() as address:
                page.goto(address)
                page.wait_for_selector(CHART, timeout=1000 * SECONDS_TO_WAIT)
                seconds.append(time.perf_counter() - started)
            page.goto("about:blank")
    return Measured(median(seconds), {"first chart": seconds})


def slider(repeats: int) -> Measured:
    """Seconds from a key on the slider to the last change that it makes on the page."""
    seconds = []
    with _server() as address, _browser() as page:
        page.goto(address)
        page.wait_for_selector(CHART, timeout=1000 * SECONDS_TO_WAIT)
        page.wait_for_selector(IDLE)
        page.evaluate(WATCH)
        page.focus(SLIDER)
        for number in range(repeats + 1):
            page.keyboard.press("ArrowRight")
            page.wait_for_function(SETTLED, timeout=1000 * SECONDS_TO_WAIT)
            if number > 0:  # the first is the warm-up
                seconds.append(page.evaluate("(window.changed - window.pressed) / 1000"))
    return Measured(median(seconds), {"slider to screen": seconds})


def close_up(repeats: int) -> Measured:
    """Seconds from choosing a layer to the last change that it makes on the page."""
    seconds = []
    with _server() as address, _browser() as page:
        page.goto(f"{address}/layers")
        page.wait_for_selector(CHART, timeout=1000 * SECONDS_TO_WAIT)
        page.wait_for_selector(IDLE)
        page.evaluate(WATCH)
        for number in range(repeats + 1):
            page.focus(LAYER)
            for key in ("ArrowDown", "ArrowDown", "Enter"):  # opens the list, goes on, chooses
                page.keyboard.press(key)
            page.wait_for_function(SETTLED, timeout=1000 * SECONDS_TO_WAIT)
            if number > 0:
                seconds.append(page.evaluate("(window.changed - window.pressed) / 1000"))
    return Measured(median(seconds), {"choice to screen": seconds})


@contextmanager
def _server() -> Iterator[str]:
    """The app on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.headless=true", "--server.fileWatcherType=none", f"--server.port={port}"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *options],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for_port(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise CannotRunError("The app did not start.")


@contextmanager
def _browser() -> Iterator["Page"]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise CannotRunError(
            "It needs Playwright: python -m pip install -r requirements-dev.txt."
        ) from error
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
                args=CHROMIUM_OPTIONS,
            )
        except Error as error:
            raise CannotRunError(
                "It needs Chromium: install it, or set CHROMIUM to its path."
            ) from error
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 900})
        finally:
            browser.close()
