"""The app in Chromium: a copy of it with small networks, and pages that note what goes wrong."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect

from benchmarks.benchmark import CannotRunError
from benchmarks.browser import CHART, IDLE, ROOT, SECONDS_TO_WAIT, SLIDER, chromium, serving
from core.data.dataset import DataSet
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.results import RESULTS_SUFFIX, ResultStore, export
from core.specs.grid import grid
from core.sweeps.measurer import Measurer
from tests.browser.socket_viewer import SocketViewer
from tests.conftest import MeasureInto
from tests.environment import needed_in_ci
from tests.pages.conftest import metadata_of
from tests.small_networks import Widths, random_network

WAIT = 1000 * SECONDS_TO_WAIT
SHIPPED_RATIOS = (*(step / 20 for step in range(20)), 0.21, 0.31, 0.61)
SOURCES = ("app.py", "pages", "core", ".streamlit")
FIVE_EPOCHS = "resnet18-cifar10-5ep"
SLOW = "resnet18-digits-9ep"  # wide, so that its evaluation can be cancelled half way
expect.set_options(timeout=WAIT)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as opened:
            yield opened
    except CannotRunError as error:
        needed_in_ci(str(error))


@pytest.fixture(scope="session")
def app_folder(
    trained: Checkpoint,
    digits: DataSet,
    measure_into: MeasureInto,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What a clone has: the sources, and a baseline of CIFAR-10 with its results.

    That baseline is the small network of the digits under another name, because a page cannot tell;
    beside it there are the same network and a slow one as baselines of the digits.
    """
    folder = tmp_path_factory.mktemp("app")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder)
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    path = checkpoints / f"{FIVE_EPOCHS}.safetensors"
    checkpoint.save(trained.network, path, "cifar10", metadata_of(trained))
    digits_path = checkpoints / "resnet18-digits-2ep.safetensors"
    checkpoint.save(trained.network, digits_path, "digits", metadata_of(trained))
    slow = random_network(Widths.regular(40))
    checkpoint.save(slow, checkpoints / f"{SLOW}.safetensors", "digits", metadata_of(trained))
    store = ResultStore(tmp_path_factory.mktemp("results") / "results.sqlite")
    measurer = Measurer(checkpoint.load(path), digits, len(digits.test_labels), 0)
    points = grid(["fine", "channel"], SHIPPED_RATIOS, recoveries=["none", "bn"])
    results = measure_into(store, measurer, points)
    export(results, path.with_name(path.stem + RESULTS_SUFFIX), "a test", measurer.test_labels)
    return folder


@pytest.fixture(scope="session")
def offline() -> dict[str, str]:
    """An environment without CIFAR-10, and with no way to the network."""
    environment = {name: value for name, value in os.environ.items() if name != "CIFAR10_DIR"}
    nowhere = "http://127.0.0.1:9"
    return {**environment, "http_proxy": nowhere, "https_proxy": nowhere}


@pytest.fixture(scope="session")
def address(browser: Browser, app_folder: Path, offline: dict[str, str]) -> Iterator[str]:
    """A server that many tests share."""
    assert browser.is_connected()  # without one there is nothing to serve
    with serving(app_folder, offline) as found:
        ask_for_the_app(found)
        yield found


def ask_for_the_app(address: str) -> None:
    """Until a server was asked for the app once, it runs the files of the folder pages alone."""
    with SocketViewer(address) as viewer:
        viewer.run()


class Visitor:
    """A browser of its own, on the app."""

    def __init__(self, page: Page, address: str):
        self.page = page
        self.address = address
        self.troubles: list[str] = []  # what the console says, and requests to anywhere else
        page.on("console", self._note_error)
        page.on("pageerror", self._note_exception)
        page.on("request", self._note_stranger)

    def leave(self) -> None:
        """Leave the page as if nobody had been there: a new one costs more than a test."""
        self.page.evaluate("localStorage.clear()")
        self.page.goto("about:blank")
        self.page.mouse.move(0, 0)
        self.page.remove_listener("console", self._note_error)
        self.page.remove_listener("pageerror", self._note_exception)
        self.page.remove_listener("request", self._note_stranger)

    def _note_error(self, said: ConsoleMessage) -> None:
        # On a page's own address Streamlit first looks for its server below that, in vain.
        is_a_guess = "/_stcore/" in said.location["url"] and "404" in said.text
        if said.type == "error" and not is_a_guess:
            self.troubles.append(said.text)

    def _note_exception(self, error: Error) -> None:
        self.troubles.append(str(error))

    def _note_stranger(self, request: Request) -> None:
        own = (self.address, self.address.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(own):
            self.troubles.append(f"request to {request.url}")

    def open(self, path: str = "/") -> "Visitor":
        self.page.goto(self.address + path)
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until the script has run and what it drew is there."""
        self.page.wait_for_selector(IDLE, timeout=WAIT)
        self.page.wait_for_function(
            "() => !document.querySelector(\"[data-testid='stSkeleton']\")", timeout=WAIT
        )

    def wait_for_chart(self) -> None:
        self.page.wait_for_selector(CHART, timeout=WAIT)

    def ratio(self) -> float:
        return float(self.page.locator(SLIDER).first.input_value())

    def expect_ratio(self, ratio: str) -> None:
        """On the cards, which come last."""
        expect(self.page.get_by_text(f"ratio {ratio}").first).to_be_visible()
        self.settle()

    def accuracies(self) -> list[str]:
        metrics = self.page.get_by_test_id("stMetric").filter(has_text="Accuracy")
        return [
            metrics.nth(number).get_by_test_id("stMetricValue").inner_text()
            for number in range(metrics.count())
        ]

    def expect_calm(self) -> None:
        expect(self.page.get_by_test_id("stException")).to_have_count(0)
        assert self.troubles == []


@pytest.fixture(scope="session")
def first_page(browser: Browser) -> Page:
    """The page of each test's first visitor, which has compiled the app's scripts."""
    return browser.new_page()


@pytest.fixture
def visitors(browser: Browser, first_page: Page, address: str) -> Iterator[Callable[..., Visitor]]:
    """Opens browsers that share nothing."""
    visiting: list[Visitor] = []

    def visit(theme: str = "light", width: int = 1280, height: int = 720) -> Visitor:
        page = browser.new_page() if visiting else first_page
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        visiting.append(Visitor(page, address))
        return visiting[-1]

    yield visit
    for first in visiting[:1]:
        first.leave()
    for other in visiting[1:]:
        other.page.close()


@pytest.fixture
def visitor(visitors: Callable[..., Visitor]) -> Visitor:
    return visitors()
