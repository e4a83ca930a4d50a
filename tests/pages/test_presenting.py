"""Presenting, the tour and the page Methods: what leads where, and what it shows there."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from core.data.dataset import DataSet
from core.networks import checkpoint
from core.results import open_store
from core.specs.grid import grid
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.studies.shipped_grid import FIVE_EPOCHS
from core.sweeps.measurer import Measurer
from core.ui.app import presenting
from core.ui.bench.workbench import Workbench
from core.ui.methods.explanation import TEXT
from core.ui.tour.tour import STOPS, link_to
from tests.conftest import MeasureInto
from tests.pages.conftest import OpenApp, assert_calm

LINK = re.compile(r"\[([^\[\]]*)\]\((/[^)]*)\)")
NUMBERS = range(1, len(STOPS) + 1)


def page_and_query(link: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(link)
    return parts.path.strip("/") or "compare", dict(parse_qsl(parts.query, strict_parsing=True))


def assert_understood(app: AppTest, query: Mapping[str, str]) -> None:
    """Every parameter names a control, which is set to its value."""
    for name, value in query.items():
        assert str(app.session_state[name]) == value, name


def button(app: AppTest, label: str) -> object:
    return next(each for each in app.button if each.label == label)


def press(app: AppTest, label: str) -> None:
    next(each for each in app.button if each.label == label).click().run()
    assert_calm(app)


def is_bare(app: AppTest) -> bool:
    """Whether what is around the view is hidden."""
    return any('data-testid="stSidebar"' in element.proto.body for element in app.get("html"))


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_present_1_hides_what_is_around_the_view_and_leaving_shows_it(open_app: OpenApp) -> None:
    app = open_app(present="1", ratio="0.4")
    assert is_bare(app)
    assert app.query_params["present"] == "1"
    assert app.slider(key="ratio").value == 0.4  # hidden, yet there
    press(app, "Leave")
    assert not is_bare(app)
    assert "present" not in app.query_params


@pytest.mark.usefixtures("small_baselines", "no_images")
@pytest.mark.parametrize("value", ["", "0", "true", "<b>1</b>"])
def test_any_other_value_of_present_is_none(open_app: OpenApp, value: str) -> None:
    app = open_app(present=value)
    assert not is_bare(app)
    assert "present" not in app.query_params


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_the_keys_move_the_ratio_within_its_range(open_app: OpenApp) -> None:
    app = open_app(present="1", ratio="0.92")
    found = []
    for label in ("More", "More", "Less"):
        press(app, label)
        found.append(app.slider(key="ratio").value)
    assert found == [0.95, 0.95, 0.9]
    app = open_app(present="1", ratio="0.03")
    press(app, "Less")
    assert app.slider(key="ratio").value == 0


@pytest.fixture
def some_measured(
    small_baselines: dict[str, Path],
    checkpoints: Path,
    digits: DataSet,
    measure_into: MeasureInto,
) -> tuple[float, ...]:
    """Ratios at which both methods were measured, with one more that only one method was."""
    measurer = Measurer(checkpoint.load(small_baselines["digits"]), digits, 200, 0)
    both = grid(["fine", "channel"], (0.0, 0.2, 0.5, 0.9))
    measure_into(open_store(checkpoints), measurer, [*both, *grid(["fine"], (0.7,))])
    return 0.0, 0.2, 0.5, 0.9


def test_play_shows_every_measured_ratio_once_and_measures_none(
    open_app: OpenApp, some_measured: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presenting, "SECONDS_PER_FRAME", 0)
    shown = []
    original = presenting.playable

    def noting(bench: Workbench) -> list[float]:
        shown.append(bench.settings.ratio)
        return original(bench)

    app = open_app(present="1", dataset="digits", subset="200", ratio="0.9")
    monkeypatch.setattr(presenting, "playable", noting)
    monkeypatch.setattr(Measurer, "measure", None)  # nothing may run
    press(app, "Play")
    assert tuple(dict.fromkeys(shown)) == some_measured
    assert app.slider(key="ratio").value == 0.9
    assert button(app, "Play")  # and no longer Stop


@pytest.mark.usefixtures("some_measured")
def test_play_is_for_measured_ratios_only(open_app: OpenApp) -> None:
    app = open_app(present="1", dataset="digits", subset="200", match="parameters left")
    assert next(each for each in app.button if each.label == "Play").disabled


@pytest.mark.usefixtures("small_baselines", "no_images")
@pytest.mark.parametrize("number", NUMBERS)
def test_every_stop_of_the_tour_is_a_link_into_the_app(open_app: OpenApp, number: int) -> None:
    page, query = page_and_query(link_to(number))
    app = open_app(page, **query)
    assert_understood(app, query)
    assert any(STOPS[number - 1].sentence in element.value for element in app.markdown)


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_the_tour_goes_on_and_back_and_ends(open_app: OpenApp) -> None:
    app = open_app(tour="3", weights="global", ratio="0.8")
    press(app, "Next")
    state = app.session_state
    assert (state["tour"], state["ratio"], state["recovery"]) == (4, 0.3, "BN recalibrated")
    assert state["weights"] == "uniform"  # what a visitor changed does not stay in its way
    press(app, "Back")
    press(app, "Back")
    assert (state["tour"], state["ratio"], state["recovery"]) == (2, 0.5, "as pruned")
    press(app, "End")
    assert "tour" not in app.query_params
    assert not any(STOPS[1].sentence in element.value for element in app.markdown)


@pytest.mark.usefixtures("small_baselines", "no_images")
@pytest.mark.parametrize("value", ["0", "6", "-1", "1.0", "²", "", "<img src=x>"])
def test_a_stop_that_is_none_starts_no_tour(open_app: OpenApp, value: str) -> None:
    app = open_app(tour=value)
    assert app.session_state["tour"] == 0
    assert "tour" not in app.query_params


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_the_tour_lists_its_stops_and_can_be_presented(open_app: OpenApp) -> None:
    app = open_app("tour")
    text = " ".join(element.value for element in app.markdown)
    assert all(stop.title in text and stop.sentence in text for stop in STOPS)
    assert [link for _, link in LINK.findall(text)] == [link_to(number) for number in NUMBERS]
    press(app, "Present the tour")
    assert (app.session_state["tour"], app.session_state["presenting"]) == (1, True)


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize("link", [link for _, link in LINK.findall(TEXT.read_text())])
def test_links_of_the_explanation_lead_to_settings_that_exist(
    open_app: OpenApp, small_baselines: dict[str, Path], checkpoints: Path, link: str
) -> None:
    shutil.copy(small_baselines["cifar10"], checkpoints / f"{FIVE_EPOCHS}.safetensors")
    page, query = page_and_query(link)
    assert_understood(open_app(page, **query), query)


def test_every_number_of_the_findings_leads_to_the_page_that_shows_it(
    open_app: OpenApp,
    small_baselines: dict[str, Path],
    checkpoints: Path,
    digits: DataSet,
    measure_into: MeasureInto,
) -> None:
    measurer = Measurer(checkpoint.load(small_baselines["digits"]), digits, 200, 0)
    points = [
        *grid(["fine", "channel"], (0.3,)),  # which the page Compare measures as it opens
        *grid(["fine"], (0.5,)),
        *grid(["fine"], (0.5,), allocations=["global"]),
        *grid(["channel"], (0.5,), scopes=["internal"], recoveries=["none", "bn"]),
        *grid(["channel"], (0.5,), ["bn"], ["global"], ["internal"], ["bn"]),
        *grid(["channel-mask"], (0.5,)),
    ]
    measure_into(open_store(checkpoints), measurer, points)
    app = open_app("methods", dataset="digits", subset="200")
    table = next(each.value for each in app.markdown if each.value.startswith("| Accuracy"))
    cells = LINK.findall(table)
    assert len(cells) == len(points)
    for text, link in cells:
        _, query = page_and_query(link)
        assert query["dataset"] == "digits"
        page = open_app(**query)
        assert_understood(page, query)
        accuracy = text.split(" ")[0] + "%"
        assert accuracy in [metric.value for metric in page.metric if metric.label == "Accuracy"]
    assert Recovery.named("bn") in {point.recovery for point in points}
    assert PruningSpec("channel-mask", 0.5) in {point.spec for point in points}


@pytest.mark.usefixtures("checkpoints", "no_images")
def test_methods_explains_itself_where_there_is_no_baseline(open_app: OpenApp) -> None:
    text = " ".join(element.value for element in open_app("methods").markdown)
    assert "What is measured, and how" in text
