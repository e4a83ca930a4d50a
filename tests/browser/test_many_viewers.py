"""Many viewers at once: nobody sees an error, everybody gets an answer, memory stays bounded."""

import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from benchmarks.browser import server
from tests.browser.conftest import SHIPPED_RATIOS, SLOW, Visitor
from tests.browser.socket_viewer import SocketViewer

SOCKETS = 18  # beside two real browsers
MOVES = 6
LIVE = 5
RERUNS = 200
MEGABYTES_MORE = 30  # of 850 or so; usually none
Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print figures to stderr, which a worker of pytest-xdist passes on even if the test passes."""

    def say(sentence: str) -> None:
        with capsys.disabled():
            print(f"\n{sentence}", file=sys.stderr, flush=True)

    return say


@pytest.fixture(scope="module")
def own_server(
    browser: Browser, app_folder: Path, offline: dict[str, str]
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server that no browser has asked; its memory is measured before it evaluates anything."""
    assert browser.is_connected()
    with server(app_folder, offline) as served:
        yield served


def test_twenty_viewers_move_sliders_at_once(
    visitors: Callable[..., Visitor], address: str, tell: Tell
) -> None:
    browsers = [visitors().open("/?ratio=0.2"), visitors().open("/?ratio=0.6")]
    all_are_there = threading.Barrier(SOCKETS + 1)

    def moving(number: int) -> list[float]:
        with SocketViewer(address) as viewer:
            viewer.run()
            all_are_there.wait(120)
            seconds = []
            for move in range(MOVES):
                ratio = SHIPPED_RATIOS[1 + (number + 5 * move) % 19]
                seconds.append(viewer.move_slider(ratio))
                assert any(f"removed · ratio {ratio:.2f}" in text for text in viewer.said)
                assert sum("· stored" in text for text in viewer.said) == 2
            assert viewer.errors == []
            return seconds

    with ThreadPoolExecutor(SOCKETS) as pool:
        moved = [pool.submit(moving, number) for number in range(SOCKETS)]
        all_are_there.wait(120)
        for visitor, ratio in zip(browsers, ("0.21", "0.61"), strict=True):
            visitor.page.focus("[data-testid='stSlider'] input[type=range]")
            visitor.page.keyboard.press("ArrowRight")
            visitor.expect_ratio(ratio)
        seconds = [each for one in moved for each in one.result()]
    for visitor in browsers:
        visitor.expect_calm()
    assert len(seconds) == SOCKETS * MOVES
    tell(
        f"{SOCKETS + len(browsers)} viewers at once, {len(seconds)} moves of the slider: median "
        f"{statistics.median(seconds):.2f} s, 95th percentile {percentile_95(seconds):.2f} s."
    )


PREDICTIONS = "predictions?dataset=digits&baseline=resnet18-digits-2ep&ratio=0.5"


def test_twenty_viewers_look_at_predictions_at_once(
    visitors: Callable[..., Visitor], tell: Tell
) -> None:
    browser = visitors().open(f"/{PREDICTIONS}&predictions=Images")
    address = browser.address
    all_are_there = threading.Barrier(SOCKETS + 1)

    def moving(number: int) -> list[float]:
        view = ("Classes", "Confusions", "Images", "Hard+images", "Calibration")[number % 5]
        query = PREDICTIONS.partition("?")[2] + f"&predictions={view}"
        with SocketViewer(address, query, page="predictions") as viewer:
            viewer.run()
            all_are_there.wait(240)
            seconds = []
            for move in range(MOVES):
                ratio = SHIPPED_RATIOS[1 + (number + 5 * move) % 19]
                seconds.append(viewer.move_slider(ratio))
                assert any("same answer to" in text for text in viewer.said)
            assert viewer.errors == []
            return seconds

    with ThreadPoolExecutor(SOCKETS) as pool:
        moved = [pool.submit(moving, number) for number in range(SOCKETS)]
        all_are_there.wait(240)
        browser.page.focus("[data-testid='stSlider'] input[type=range]")
        browser.page.keyboard.press("ArrowRight")
        seconds = [each for one in moved for each in one.result()]
    browser.settle()
    browser.expect_calm()
    assert len(seconds) == SOCKETS * MOVES
    tell(
        f"{SOCKETS + 1} viewers of Predictions, {len(seconds)} moves of the slider: median "
        f"{statistics.median(seconds):.2f} s, 95th percentile {percentile_95(seconds):.2f} s."
    )


def percentile_95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_bounded_over_many_reruns(
    own_server: tuple[str, "subprocess.Popen[bytes]"], tell: Tell
) -> None:
    address, process = own_server
    with SocketViewer(address) as viewer:
        viewer.run()
        for _ in range(3):  # whatever is kept once for all is kept by then
            for ratio in SHIPPED_RATIOS:
                viewer.move_slider(ratio)
        before = megabytes_of(process.pid)
        for number in range(RERUNS):
            viewer.move_slider(SHIPPED_RATIOS[number % len(SHIPPED_RATIOS)])
        after = megabytes_of(process.pid)
        assert viewer.errors == []
    tell(f"The server's memory: {before:.0f} MB, {RERUNS} reruns later {after:.0f} MB.")
    assert after < before + MEGABYTES_MORE


def megabytes_of(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = next(line for line in lines if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1000


def test_live_evaluations_are_queued_each_is_told_its_place_and_none_starves(
    own_server: tuple[str, "subprocess.Popen[bytes]"], tell: Tell
) -> None:
    address, _ = own_server

    def asking(number: int) -> tuple[float, list[str]]:
        query = f"dataset=digits&baseline={SLOW}&subset=500&ratio=0.{number}7"
        with SocketViewer(address, query) as viewer:
            seconds = viewer.run()
        assert viewer.errors == []
        assert sum("500 images · live" in text for text in viewer.said) == 2
        return seconds, viewer.waited

    with ThreadPoolExecutor(LIVE) as pool:
        answers = list(pool.map(asking, range(1, LIVE + 1)))
    places = {text.split("Waiting for ")[1].split()[0] for _, told in answers for text in told}
    assert {"1", "2", "3"} <= places
    assert places <= set("1234")
    tell(
        f"{LIVE} viewers who ask for live evaluations at once have them after "
        f"{', '.join(f'{seconds:.1f}' for seconds, _ in sorted(answers))} s."
    )
