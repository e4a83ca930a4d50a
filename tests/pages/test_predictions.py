"""The page Predictions: counts against the results themselves, with and without images."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.data.dataset import DataMissingError, DataSet
from core.measuring.flips import DIRECTIONS, Flips
from core.networks import checkpoint
from core.results import Result, export, open_store
from core.specs.grid import grid
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING
from core.sweeps.known import BASELINE
from core.sweeps.measurer import Measurer
from tests.conftest import MeasureInto
from tests.pages.conftest import OpenApp, assert_calm
from tests.pages.test_pages import frames_of, words

SETTINGS = {"dataset": "digits", "ratio": "0.5"}
POINT = Point(PruningSpec("channel", 0.5), NOTHING)
CURVE = grid(["channel"], [0.0, 0.3, 0.5, 0.8])


@pytest.fixture
def measurer(small_baselines: dict[str, Path], digits: DataSet) -> Measurer:
    return Measurer(checkpoint.load(small_baselines["digits"]), digits)


@pytest.fixture
def flips(measurer: Measurer, measure_into: MeasureInto) -> Flips:
    """What channels at 0.5 cost the small network, stored for the page to find."""
    results = measure_into(open_store(), measurer, [BASELINE, POINT, *CURVE])
    by_key = {result.key: result for result in results}
    was, now = (by_key[measurer.key(point)].evaluation for point in (BASELINE, POINT))
    return Flips(was.predictions, now.predictions, was.labels)


def frames_with(app: AppTest, name: str) -> dict[str, pd.DataFrame]:
    (found,) = [each for each in frames_of(app) if name in each]
    return found


def pictures_of(app: AppTest) -> list[str]:
    """The alt texts of the pictures in the gallery."""
    content = "".join(element.proto.body for element in app.get("html"))
    return re.findall(r'<img class="picture"[^>]*alt="([^"]*)"', content)


def test_flips_and_classes_are_those_of_the_results(open_app: OpenApp, flips: Flips) -> None:
    app = open_app("predictions", **SETTINGS)
    bands = frames_with(app, "bands")["bands"]
    counted = dict(zip(bands["way"], bands["images"], strict=True))
    assert counted == {name: flips.which(name).sum() for name in DIRECTIONS}
    said = words(app)
    assert f"Lost {flips.test.lost:,}, won {flips.test.gained:,}: a real loss." in said
    classes = frames_with(app, "classes")["classes"]
    before = classes[classes["side"] == "before"]
    assert before["correct"].sum() == flips.was_right.sum()
    assert before["seen"].sum() == len(flips.labels)
    assert before["change"].is_monotonic_increasing


def test_the_shift_sums_to_zero_in_each_row(open_app: OpenApp, flips: Flips) -> None:
    app = open_app("predictions", **SETTINGS, predictions="Confusions")
    cells = frames_with(app, "cells")["cells"]
    assert (cells.groupby("true")["images"].sum() == 0).all()
    assert len(cells) == 100
    after = open_app("predictions", **SETTINGS, predictions="Confusions", confusions_of="after")
    cells = frames_with(after, "cells")["cells"]
    right = cells[cells["true"] == cells["answer"]]["images"].sum()
    assert right == flips.is_right.sum()


def test_the_gallery_shows_what_passes_the_filter(open_app: OpenApp, flips: Flips) -> None:
    app = open_app("predictions", **SETTINGS, predictions="Images")
    lost = int(flips.which("lost").sum())
    assert f"{lost:,} images" in words(app)
    assert len(pictures_of(app)) == min(lost, 24)
    worst = int(np.bincount(flips.labels[flips.which("lost")]).argmax())
    chosen = {**SETTINGS, "predictions": "Images", "class": str(worst), "flip": "lost"}
    filtered = open_app("predictions", **chosen)
    mine = int((flips.which("lost") & (flips.labels == worst)).sum())
    shown = pictures_of(filtered)
    assert len(shown) == min(mine, 24)
    assert all(re.match(rf"Test image \d+, {worst}: before {worst}, after", alt) for alt in shown)


def test_the_first_to_go_come_first(open_app: OpenApp, flips: Flips) -> None:
    app = open_app("predictions", **SETTINGS, predictions="Images")
    counts = frames_with(app, "counts")["counts"]
    assert counts["images"].sum() <= flips.was_right.sum()
    assert set(counts["ratio"]) <= {0.3, 0.5, 0.8}
    content = "".join(element.proto.body for element in app.get("html"))
    order = [float(ratio) for ratio in re.findall(r"wrong from (\d\.\d\d)</figcaption", content)]
    assert order == sorted(order)
    assert len(order) == len(pictures_of(app))


@pytest.mark.parametrize(
    "query",
    [
        {"class": "<img src=x onerror=alert(1)>"},
        {"answer_after": "../../etc", "answer_before": "inf"},
        {"flip": "sideways", "image_page": "99999"},
        {"before": "nobody", "after": "baseline ../x"},
        {"predictions": "Nowhere"},
        {"image_page": "-1", "image_order": "x"},
    ],
)
@pytest.mark.usefixtures("flips")
def test_hostile_filters_are_ignored(open_app: OpenApp, query: dict[str, str]) -> None:
    app = open_app("predictions", **(SETTINGS | {"predictions": "Images"} | query))
    assert "onerror" not in "".join(element.proto.body for element in app.get("html"))
    assert "test images" in words(app)


def test_any_two_can_be_compared(
    open_app: OpenApp, measurer: Measurer, measure_into: MeasureInto
) -> None:
    points = grid(["fine", "channel"], [0.5], recoveries=["none", "bn"])
    results = {
        result.key: result.evaluation for result in measure_into(open_store(), measurer, points)
    }
    by_name = {
        f"{'Fine-grained' if point.spec.method == 'fine' else 'Channels'}, "
        f"{'as pruned' if point.recovery == NOTHING else 'BN recalibrated'}": point
        for point in points
    }
    for before, after in (
        ("Fine-grained, as pruned", "Channels, as pruned"),
        ("Channels, as pruned", "Channels, BN recalibrated"),
    ):
        app = open_app("predictions", **SETTINGS, before=before, after=after)
        was, now = (results[measurer.key(by_name[name])] for name in (before, after))
        expected = Flips(was.predictions, now.predictions, was.labels)
        bands = frames_with(app, "bands")["bands"]
        counted = dict(zip(bands["way"], bands["images"], strict=True))
        assert counted == {name: expected.which(name).sum() for name in DIRECTIONS}


def test_what_is_missing_is_measured_on_request(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    chosen = {**SETTINGS, "subset": "100", "after": "Channels, BN recalibrated"}
    app = open_app("predictions", **chosen)
    assert "To be measured on 100 test images: Channels, BN recalibrated." in words(app)
    app.button(key="measure_sides").click().run()
    assert_calm(app)
    assert "on the same 100 test images" in words(app)
    app = open_app("predictions", **chosen, predictions="Calibration")
    bins = frames_with(app, "bins")["bins"]  # what is measured here keeps its confidences
    assert set(bins["side"]) == {"before", "after"}
    assert bins.groupby("side")["seen"].sum().tolist() == [100, 100]
    assert "expected calibration error" in words(app)


def without_codes(result: Result) -> Result:
    values = {name: getattr(result, name) for name in vars(result) if name != "codes"}
    values.pop("evaluation", None)
    return Result(**values)


@pytest.mark.usefixtures("no_images")
def test_stored_results_need_no_images(
    open_app: OpenApp,
    checkpoints: Path,
    measurer: Measurer,
    measure_into: MeasureInto,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    results = measure_into(open_store(tmp_path / "other"), measurer, [BASELINE, POINT, *CURVE])
    shipped = [without_codes(result) for result in results]
    export(shipped, checkpoints / "some.results.csv", "sweep", measurer.test_labels)

    def missing(*_: object, **__: object) -> DataSet:
        raise AssertionError("the images were asked for")

    for view in ("Classes", "Confusions"):
        with monkeypatch.context() as patch:
            patch.setattr("core.data.loading.load", missing)
            app = open_app("predictions", **SETTINGS, predictions=view)
            assert "Lost" in words(app)
    app = open_app("predictions", **SETTINGS, predictions="Hard images")
    counted = frames_with(app, "counts")["counts"]
    assert counted["images"].sum() == len(measurer.test_labels)
    assert "shipped settings of one baseline" in words(app)
    assert len(pictures_of(app)) == 24
    app = open_app("predictions", **SETTINGS, predictions="Calibration")
    assert "are not known" in words(app)
    app.button(key="measure_confidences").click().run()
    assert_calm(app)
    assert "expected calibration error" in words(app)


def test_without_images_the_gallery_says_what_it_needs(
    open_app: OpenApp, flips: Flips, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> DataSet:
        raise DataMissingError("The images are not on this machine.")

    monkeypatch.setattr("core.data.loading.load", missing)
    app = open_app("predictions", **SETTINGS, predictions="Images")
    assert pictures_of(app) == []
    assert "The pictures need the images" in words(app)
    assert f"{int(flips.which('lost').sum()):,} images" in words(app)
    assert frames_with(app, "counts")


@pytest.mark.usefixtures("small_baselines")
def test_close_up_shows_what_a_channel_sees(open_app: OpenApp) -> None:
    app = open_app("layers", **SETTINGS, view="Close-up", layer="layer2.0.conv1")
    assert not pictures_of(app)
    app.button(key="look").click().run()
    assert_calm(app)
    shown = pictures_of(app)
    assert len(shown) == 12
    assert all(re.fullmatch(r"Training image of the class \d", alt) for alt in shown)
    first = words(app)
    app.number_input(key="channel").set_value(3).run()
    assert_calm(app)
    assert "Channel 3 of layer2.0.conv1, which" in words(app)
    assert words(app) != first
