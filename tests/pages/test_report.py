"""The report as each page offers it: of all that the page drew, and of nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data.dataset import DataSet
from core.errors import InputError
from core.networks import checkpoint
from core.results import open_store
from core.specs.grid import grid
from core.sweeps.known import BASELINE
from core.sweeps.measurer import Measurer
from core.ui.compare.comparison import Comparison
from core.ui.parts.record import KEY, Figure, Heading, Numbers, Record, Sentences
from tests.conftest import MeasureInto
from tests.pages.conftest import OpenApp, assert_calm

SETTINGS = {"dataset": "digits", "ratio": "0.5", "subset": "200"}
RATIOS = (0.3, 0.5)
VIEWS: Sequence[tuple[str, dict[str, str]]] = (
    ("compare", {}),
    *(("layers", {"view": view}) for view in ("Sensitivity", "Close-up", "Reordering")),
    *(("predictions", {"predictions": view}) for view in ("Classes", "Confusions", "Images")),
    ("recovery", {}),
    ("baseline", {}),
)


@pytest.fixture(autouse=True)
def some_measured(
    small_baselines: dict[str, Path],
    checkpoints: Path,
    digits: DataSet,
    measure_into: MeasureInto,
) -> None:
    measurer = Measurer(checkpoint.load(small_baselines["digits"]), digits, 200, 0)
    points = grid(["fine", "channel"], RATIOS, recoveries=["none", "bn", "reconstruct"])
    measure_into(open_store(checkpoints), measurer, [BASELINE, *points])


def record_of(app: AppTest) -> Record:
    record: Record = app.session_state[KEY]
    return record


def alts(app: AppTest) -> list[str]:
    """The alt texts of the charts on the page."""
    return [element.proto.alt for element in app.get("vega_lite_chart")]


def offers(app: AppTest) -> bool:
    labels = [element.proto.label for element in app.get("download_button")]
    assert labels.count("Report") <= 1
    return "Report" in labels


@pytest.mark.parametrize(("page", "tab"), VIEWS)
def test_a_page_with_charts_offers_a_report_of_all_of_them(
    open_app: OpenApp, page: str, tab: dict[str, str]
) -> None:
    app = open_app(page, **SETTINGS, **tab)
    assert offers(app)
    figures = [each for each in record_of(app).items if isinstance(each, Figure)]
    assert sorted(each.alt for each in figures) == sorted(alts(app))
    assert len(set(alts(app))) == len(alts(app)) > 0
    drawn = {element.proto.alt: element.proto for element in app.get("vega_lite_chart")}
    for figure in figures:
        spec = json.loads(drawn[figure.alt].spec)
        assert spec.get("encoding") == figure.drawing.spec.get("encoding")
    names = [each.text for each in record_of(app).items if isinstance(each, Heading)]
    assert [name for name in names if name in tab.values()] == list(tab.values())


@pytest.mark.parametrize("page", ["tour", "methods"])
def test_a_page_without_charts_offers_none(open_app: OpenApp, page: str) -> None:
    assert not offers(open_app(page, **SETTINGS))


def test_none_is_offered_while_presenting(open_app: OpenApp) -> None:
    app = open_app(**SETTINGS, present="1")
    assert len(alts(app)) > 0
    assert not offers(app)


def test_a_page_that_stops_early_offers_none(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Comparison) -> None:
        raise InputError("The baseline is gone.")

    monkeypatch.setattr(Comparison, "measure", fail)
    app = open_app(**SETTINGS)
    assert [each.value for each in app.warning] == ["The baseline is gone."]
    assert len(alts(app)) > 0
    assert not offers(app)


def test_the_record_has_the_cards_and_sentences_of_the_page(open_app: OpenApp) -> None:
    app = open_app(**SETTINGS)
    cards = [each for each in record_of(app).items if isinstance(each, Numbers)]
    assert [each.name for each in cards] == ["Fine-grained", "Channels"]
    shown = [metric.value for metric in app.metric if metric.label == "Accuracy"]
    assert [each.values["Accuracy"] for each in cards] == shown
    captions = " ".join(each.value for each in app.caption)
    for card in cards:
        assert f"95% interval {card.values['95% interval']} ·" in captions
        assert card.values["Paired test"] in captions
    (said,) = [each for each in record_of(app).items if isinstance(each, Sentences)]
    text = " ".join(each.value for each in app.markdown)
    assert len(said.lines) == 2
    assert all(line in text for line in said.lines)


def test_what_is_measured_while_the_page_is_drawn_is_in_the_record(open_app: OpenApp) -> None:
    app = open_app(**{**SETTINGS, "ratio": "0.4"})
    cards = [each for each in record_of(app).items if isinstance(each, Numbers)]
    shown = [metric.value for metric in app.metric if metric.label == "Accuracy"]
    assert [each.values["Accuracy"] for each in cards] == shown
    assert "not measured" not in shown
    (figure,) = [each for each in record_of(app).items if isinstance(each, Figure)]
    assert 0.4 in set(figure.drawing.frames["points"]["ratio"])


def test_the_record_is_of_the_last_run_and_an_earlier_one_stays_as_it_was(
    open_app: OpenApp,
) -> None:
    app = open_app(**SETTINGS)
    first = record_of(app)
    before = first.items
    app.slider(key="ratio").set_value(0.3).run()
    assert_calm(app)
    second = record_of(app)
    assert first.items == before
    assert second is not first
    ratios = [each.values["Pruned"] for each in second.items if isinstance(each, Numbers)]
    assert ratios == ["zeroed · ratio 0.30", "removed · ratio 0.30"]
    app.switch_page("pages/recovery.py").run()
    assert alts(app) == [each.alt for each in record_of(app).items if isinstance(each, Figure)]
