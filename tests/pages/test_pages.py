"""Every page, in every state of baseline and data, as AppTest sees it."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.baselines.request import Request
from core.baselines.shelf import available, default_baseline
from core.data import loading
from core.data.dataset import KNOWN_COPIES, DataMissingError, DataSet, subset_indices
from core.data.loading import load
from core.device import best_device, resolve_precision
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.layers import nonzero_parameters
from core.networks.metadata import BASELINE_FIELDS, TRAINING_FIELDS
from core.paths import CHECKPOINTS
from core.pruning import Pruner, prune
from core.pruning.channel import ChannelPruner
from core.results import ResultStore, open_store
from core.specs.grid import grid
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import GRANULARITIES
from core.studies import latency
from core.studies.budget import LayerTimes, kept, times
from core.studies.sensitivity import ScanMeasurer, scan_points
from core.studies.shipped_grid import FIVE_EPOCHS, FULL
from core.sweeps.measurer import Measurer
from core.sweeps.sweep import sweep
from core.training import EpochEnd, Step
from core.ui.baseline import training
from core.ui.methods.explanation import explanation
from tests.conftest import MeasureInto
from tests.pages.conftest import APP, PAGES, OpenApp, assert_calm, metadata_of
from tests.small_networks import random_network, recovered

SOME_RATIOS = (0.3, 0.6, 0.9)
OTHER_PRESETS = {
    "As in the study": (0.05, 0.5),
    "Best without training": (0.3, 0.75),
}


def metrics(app: AppTest) -> dict[str, list[str]]:
    """The values of each metric by label: fine-grained first, channels second."""
    found: dict[str, list[str]] = {}
    for metric in app.metric:
        found.setdefault(metric.label, []).append(metric.value)
    return found


def charts(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]


def words(app: AppTest) -> str:
    elements = [*app.info, *app.warning, *app.caption, *app.markdown]
    return " ".join(str(element.value) for element in elements)


@pytest.mark.usefixtures("checkpoints", "no_images")
@pytest.mark.parametrize("page", [page for page in PAGES if page != "tour"])
def test_a_page_without_baseline_and_images_says_what_to_do(open_app: OpenApp, page: str) -> None:
    app = open_app(page)
    assert "Train one" in words(app) or "train one" in words(app)
    if page == "baseline":
        assert "CIFAR10_DIR" in words(app)
        assert any("Download" in button.label for button in app.button)


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_without_images_pruning_and_costs_work_and_accuracy_says_why_not(
    open_app: OpenApp,
) -> None:
    app = open_app("compare")
    assert metrics(app)["Accuracy"] == ["–", "–"]
    assert "CIFAR10_DIR" in words(app)
    assert all(value.endswith("M") for value in metrics(app)["Parameters"])
    assert len(charts(open_app("layers", view="Close-up"))) >= 6


@pytest.mark.usefixtures("small_baselines")
def test_compare_shows_what_an_evaluation_apart_from_it_finds(
    open_app: OpenApp, digits: DataSet, small_baselines: dict[str, Path]
) -> None:
    app = open_app("compare", dataset="digits", ratio="0.4", subset="200", seed="3")
    model = checkpoint.load(small_baselines["digits"]).network
    chosen = subset_indices(digits.test_labels, 200, 3)
    for side, method in enumerate(("fine", "channel")):
        pruned = prune(model, PruningSpec(method, 0.4)).network
        result = evaluate_fully(pruned, digits.test_images[chosen], digits.test_labels[chosen])
        assert metrics(app)["Accuracy"][side] == f"{result.accuracy:.1%}"
        left = sum(nonzero_parameters(pruned.module).values())
        assert metrics(app)["Parameters"][side] == f"{left / 1e6:.2f} M"


@pytest.mark.usefixtures("small_baselines")
def test_moving_the_slider_moves_the_numbers_and_keeps_the_point(open_app: OpenApp) -> None:
    app = open_app("compare", dataset="digits", subset="100")
    before = metrics(app)["Parameters"]
    app.slider(key="ratio").set_value(0.6).run()
    assert_calm(app)
    assert metrics(app)["Parameters"] != before
    drawn = points_of(app)
    assert {(row["method"], row["ratio"]) for row in drawn} == {
        (method, ratio) for method in ("Fine-grained", "Channels") for ratio in (0.0, 0.3, 0.6)
    }


@pytest.mark.usefixtures("small_baselines")
def test_the_curves_are_filled_in_on_demand(open_app: OpenApp) -> None:
    app = open_app("compare", dataset="digits", subset="50")
    next(button for button in app.button if "curves" in button.label).click().run()
    assert_calm(app)
    for recovery in ("as pruned", "BN recalibrated"):
        ratios = {
            row["ratio"]
            for row in points_of(app)
            if (row["method"], row["recovery"]) == ("Channels", recovery)
        }
        assert ratios >= {step / 10 for step in range(10)}


@pytest.mark.usefixtures("small_baselines")
def test_what_is_measured_live_is_stored_for_the_next_viewer(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_app("compare", dataset="digits", subset="50", ratio="0.4")
    assert "images · live" in words(first)
    monkeypatch.setattr(Measurer, "measure", None)  # nothing may run
    second = open_app("compare", dataset="digits", subset="50", ratio="0.4")
    assert "images · stored" in words(second)
    assert metrics(second)["Accuracy"] == metrics(first)["Accuracy"]


@pytest.mark.usefixtures("small_baselines")
def test_recalibrated_numbers_are_those_of_a_recalibrated_network(
    open_app: OpenApp, digits: DataSet, small_baselines: dict[str, Path]
) -> None:
    app = open_app(
        "compare", dataset="digits", subset="100", ratio="0.5", recovery="BN recalibrated"
    )
    model = checkpoint.load(small_baselines["digits"]).network
    chosen = subset_indices(digits.test_labels, 100)
    for side, method in enumerate(("fine", "channel")):
        pruned = prune(model, PruningSpec(method, 0.5)).network
        network = recovered(pruned, Recovery.named("bn"), digits)
        result = evaluate_fully(network, digits.test_images[chosen], digits.test_labels[chosen])
        assert metrics(app)["Accuracy"][side] == f"{result.accuracy:.1%}"


@pytest.fixture
def stored(
    checkpoints: Path,
    small_baselines: dict[str, Path],
    digits: DataSet,
    measure_into: MeasureInto,
) -> ResultStore:
    """Results of both methods at three ratios, raw and recalibrated, as if they were shipped."""
    store = open_store(checkpoints)
    measurer = Measurer(checkpoint.load(small_baselines["digits"]), digits)
    measure_into(
        store, measurer, grid(["fine", "channel"], [0, 0.2, 0.3], recoveries=["none", "bn"])
    )
    return store


@pytest.mark.usefixtures("stored")
def test_stored_results_need_no_images_and_no_network(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load", lambda *_, **__: pytest.fail("the images were asked for"))
    monkeypatch.setattr(Pruner, "prune", lambda *_: pytest.fail("it was pruned"))
    app = open_app("compare", dataset="digits", subset="50")
    assert all(value.endswith("%") for value in metrics(app)["Accuracy"])
    assert "500 images · stored" in words(app)
    assert len(points_of(app)) == 2 * 2 * 3
    assert "zeroing single weights leaves" in words(app)
    assert "removing channels leaves" in words(app)
    assert not app.info
    app.slider(key="ratio").set_value(0.2).run()
    assert_calm(app)
    assert "At 0.20, removing channels" in words(app)


@pytest.mark.usefixtures("stored")
def test_without_images_the_nearest_measured_ratio_is_shown_and_named(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_name: str, **_: object) -> DataSet:
        raise DataMissingError("The images are nowhere.")

    monkeypatch.setattr(loading, "load", missing)
    app = open_app("compare", dataset="digits", ratio="0.27")
    assert "ratio 0.30 (nearest measured)" in words(app)
    assert "ratio 0.27 was not measured" in words(app)
    assert "At 0.30" in words(app)


@pytest.fixture
def fresh_clone(checkpoints: Path, no_images: None) -> None:  # noqa: ARG001
    """What ships, and no images."""
    shipped = [*CHECKPOINTS.glob("*.safetensors"), *CHECKPOINTS.glob("*.results.*")]
    for file in [*shipped, CHECKPOINTS / "evidence"]:
        (checkpoints / file.name).symlink_to(file)


@pytest.mark.usefixtures("fresh_clone")
def test_a_fresh_clone_has_nothing_to_fill_in(open_app: OpenApp) -> None:
    app = open_app("compare")
    before = frames_of(app)[0]["points"]
    next(button for button in app.button if button.label == "Fill in the curves").click().run()
    assert_calm(app)
    assert "already measured at 0, 0.1 … 0.9" in words(app)
    assert "needs the images" not in words(app)
    assert frames_of(app)[0]["points"].equals(before)


@pytest.mark.usefixtures("fresh_clone")
def test_a_fresh_clone_answers_without_images_at_every_preset(open_app: OpenApp) -> None:
    app = open_app("compare")
    for preset, ratios in (("Textbook", (0.0, 0.37, 0.95)), *OTHER_PRESETS.items()):
        if app.button_group(key="preset").value != preset:
            app.button_group(key="preset").set_value(preset).run()
        for ratio in ratios:
            app.slider(key="ratio").set_value(ratio).run()
            assert_calm(app)
            assert words(app).count("10,000 images · stored") == 2
            assert "nearest measured" not in words(app)
            assert "not measured" not in words(app)


@pytest.fixture
def both_baselines(checkpoints: Path, small_baselines: dict[str, Path]) -> None:
    """Files of the names that presets ask for."""
    for name in (FULL, FIVE_EPOCHS):
        shutil.copy(small_baselines["cifar10"], checkpoints / f"{name}.safetensors")
    small_baselines["cifar10"].unlink()


@pytest.mark.usefixtures("both_baselines", "no_images")
@pytest.mark.parametrize(
    ("query", "preset"),
    [
        ({}, "Textbook"),  # what the app opens with
        ({"baseline": FIVE_EPOCHS, "channels": "masked", "ratio": "0.6"}, "As in the study"),
        ({"baseline": FIVE_EPOCHS}, None),
        ({"criterion": "L2"}, None),
    ],
)
def test_the_preset_that_the_sidebar_is_set_to_is_named(
    open_app: OpenApp, query: dict[str, str], preset: str | None
) -> None:
    assert open_app("compare", **query).button_group(key="preset").value == preset


@pytest.mark.usefixtures("both_baselines", "no_images")
def test_the_app_opens_with_the_baseline_that_the_command_line_takes(
    open_app: OpenApp, checkpoints: Path
) -> None:
    """Another one comes first in the alphabet."""
    shutil.copy(checkpoints / f"{FIVE_EPOCHS}.safetensors", checkpoints / "a-1ep.safetensors")
    app = open_app("compare")
    assert app.selectbox(key="baseline").value == FULL == default_name("cifar10")
    assert app.selectbox(key="baseline").options == [FULL, "a-1ep", FIVE_EPOCHS]


def default_name(dataset: str) -> str:
    path = default_baseline(dataset)
    assert path is not None
    return path.stem


@pytest.mark.usefixtures("both_baselines", "no_images")
def test_a_preset_sets_the_sidebar(open_app: OpenApp) -> None:
    app = open_app("compare", criterion="L2", ratio="0.6")
    app.button_group(key="preset").set_value("As in the study").run()
    assert_calm(app)
    settings = {"channels": "masked", "criterion": "L1", "baseline": FIVE_EPOCHS, "ratio": 0.6}
    assert {name: app.session_state[name] for name in settings} == settings
    app.button_group(key="preset").set_value("Best without training").run()
    assert_calm(app)
    settings = {"channels": "removed", "criterion": "Taylor", "baseline": FULL, "ratio": 0.6}
    assert {name: app.session_state[name] for name in settings} == settings


def frames_of(app: AppTest) -> list[dict[str, pd.DataFrame]]:
    """What each chart draws, by the names of its frames."""
    return [
        {
            dataset.name: pa.ipc.open_stream(dataset.data.data).read_pandas()
            for dataset in element.proto.datasets
        }
        for element in app.get("vega_lite_chart")
    ]


def points_of(app: AppTest) -> list[dict[str, Any]]:
    """The measured points of the accuracy chart."""
    return [dict(row) for frames in frames_of(app) for _, row in frames["points"].iterrows()]


@pytest.mark.usefixtures("small_baselines")
@pytest.mark.parametrize("page", ["compare", "layers"])
def test_moving_the_slider_changes_nothing_but_the_few_marks_that_move(
    open_app: OpenApp, page: str
) -> None:
    first, second = (
        open_app(page, dataset="digits", subset="50", view="Close-up", ratio=ratio)
        for ratio in ("0.3", "0.31")
    )
    assert charts(first) == charts(second)
    for before, after in zip(frames_of(first), frames_of(second), strict=True):
        moved = {name for name in before if not before[name].equals(after[name])}
        # A live point is a new one; from the store there is none. The close-up is of the slider.
        assert moved <= {"slider", "points", "readings", "bins", "threshold", "channels"} or (
            page == "layers" and set(before) == {"cells"}
        )


def test_what_another_viewer_measured_while_one_waited_is_called_stored(
    open_app: OpenApp, stored: ResultStore, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = available("digits")

    @contextmanager
    def after_another() -> Iterator[None]:
        measurer = Measurer(checkpoint.load(file), digits, 50, 0)
        for _ in sweep(measurer, grid(["channel"], [0.4]), stored):
            pass
        yield

    monkeypatch.setattr("core.ui.bench.workbench.evaluation_turn", after_another)
    app = open_app("compare", dataset="digits", subset="50", ratio="0.4")
    assert words(app).count("50 images · live") == 1
    assert words(app).count("50 images · stored") == 1


OWN = resolve_precision("auto", best_device())
FOREIGN = "fp32" if OWN == "bf16" else "bf16"


def keep(path: Path, digits: DataSet, precision: str, points: Sequence[Point]) -> None:
    """Measure points on the whole test set, as if they came with the app."""
    measurer = Measurer(checkpoint.load(path), digits, precision=precision)
    for _ in sweep(measurer, points, open_store()):
        pass


@pytest.mark.parametrize("page", ["compare", "layers"])
def test_a_card_compares_within_one_precision_and_measures_the_baseline_for_it(
    open_app: OpenApp, small_baselines: dict[str, Path], digits: DataSet, page: str
) -> None:
    path = small_baselines["digits"]
    keep(path, digits, FOREIGN, grid(["fine"], [0.0], recoveries=["none"]))
    keep(path, digits, OWN, grid(["fine", "channel"], [0.4], recoveries=["none"]))
    view = {"view": "By hand"} if page == "layers" else {}
    app = open_app(page, dataset="digits", subset="500", ratio="0.4", **view)
    deltas = [metric.delta for metric in app.metric if metric.label == "Accuracy"]
    model = checkpoint.load(path).network
    baseline, pruned = (
        evaluate_fully(each, digits.test_images, digits.test_labels, OWN).accuracy
        for each in (model, prune(model, PruningSpec("fine", 0.4)).network)
    )
    expected = f"{100 * (pruned - baseline):+.1f} points".replace("-", "−")
    assert deltas[0] == expected
    assert len(deltas) == 2
    assert all(delta.endswith("points") for delta in deltas)


def test_a_card_says_where_it_cannot_compare(
    open_app: OpenApp,
    small_baselines: dict[str, Path],
    digits: DataSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = small_baselines["digits"]
    keep(path, digits, FOREIGN, grid(["fine"], [0.0], recoveries=["none"]))
    keep(path, digits, OWN, grid(["fine", "channel"], [0.4], recoveries=["none"]))

    def missing(_name: str, **_: object) -> DataSet:
        raise DataMissingError("The images are nowhere.")

    monkeypatch.setattr(loading, "load", missing)
    app = open_app("compare", dataset="digits", subset="500", ratio="0.4")
    said = f"Not compared: the baseline was not measured in {OWN} on these images"
    assert words(app).count(said) == 2
    assert [m.delta for m in app.metric if m.label == "Accuracy"] == ["not compared"] * 2


@pytest.mark.usefixtures("small_baselines")
def test_with_bn_recalibrated_a_sentence_speaks_of_what_was_measured(open_app: OpenApp) -> None:
    app = open_app(
        "compare", dataset="digits", subset="50", ratio="0.4", recovery="BN recalibrated"
    )
    assert re.search(
        r"removing channels leaves \S+ ± \S+ after recalibrating batch-norm", words(app)
    )


@pytest.mark.usefixtures("small_baselines")
def test_matched_by_parameters_both_methods_leave_about_as_many(open_app: OpenApp) -> None:
    app = open_app("compare", dataset="digits", ratio="0.5", subset="50", match="parameters left")
    left = [metric.delta for metric in app.metric if metric.label == "Parameters"]
    shares = np.array([float(delta.removesuffix("% left")) for delta in left])
    assert np.all(np.abs(shares - 50) < 4)


@pytest.mark.usefixtures("small_baselines")
@pytest.mark.parametrize(("x", "label"), [("parameters", "Parameters"), ("MACs", "MACs")])
def test_on_an_axis_of_costs_each_method_is_marked_where_its_card_says(
    open_app: OpenApp, x: str, label: str
) -> None:
    app = open_app("compare", dataset="digits", ratio="0.5", subset="50", x=x)
    left = [metric.delta for metric in app.metric if metric.label == label]
    marks = frames_of(app)[0]["slider"]
    assert list(marks["method"]) == list(GRANULARITIES)
    assert [f"{1 - x:.1%} left" for x in marks["x"]] == left


@pytest.mark.usefixtures("small_baselines")
def test_where_both_methods_have_one_ratio_it_is_marked_once(open_app: OpenApp) -> None:
    app = open_app("compare", dataset="digits", ratio="0.5", subset="50")
    assert frames_of(app)[0]["slider"].to_dict("records") == [{"method": "", "x": 0.5}]


@pytest.mark.usefixtures("small_baselines")
def test_layers_draws_every_layer_at_every_step_below_two_thousand_marks(
    open_app: OpenApp,
) -> None:
    app = open_app("layers", dataset="digits", view="Close-up")
    sizes = [sum(map(len, frames.values())) for frames in frames_of(app)]
    assert len(frames_of(app)[0]["cells"]) == 2 * 21 * 20
    assert max(sizes) < 2000


@pytest.mark.usefixtures("small_baselines")
def test_the_url_selects_the_layer_of_the_close_up(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    name = "layer3.0.conv2"
    app = open_app("layers", dataset="digits", view="Close-up", layer=name, ratio="0.5")
    assert app.selectbox(key="layer").value == name
    assert f"**{name}**, before and after" in words(app)
    assert "layer3.0.downsample.0, layer3.1.conv2" in words(app)  # what it is coupled with
    (overview, *_) = frames_of(app)
    assert overview["selected"]["layer"].tolist() == [name]
    weights = checkpoint.load(small_baselines["digits"]).network.module.get_parameter(
        f"{name}.weight"
    )
    bins = [frames["bins"] for frames in frames_of(app) if "bins" in frames]
    assert [frame[["kept", "cut"]].to_numpy().sum() for frame in bins] == [weights.numel()] * 2
    assert bins[0]["cut"].sum() == round(0.5 * weights.numel())
    assert bins[1]["cut"].sum() == weights.numel() - weights.numel() // 4


@pytest.mark.usefixtures("small_baselines")
@pytest.mark.parametrize("layer", ["conv1", "layer2.0.downsample.0", "fc", "<b>", ""])
@pytest.mark.parametrize("channels", ["removed", "masked"])
def test_every_layer_has_a_close_up(open_app: OpenApp, layer: str, channels: str) -> None:
    settings = {"layer": layer, "channels": channels, "criterion": "BN γ"}
    app = open_app("layers", dataset="digits", view="Close-up", **settings)
    assert len(app.get("image")) == (2 if layer in ("conv1", "<b>", "") else 0)


@pytest.mark.usefixtures("small_baselines")
def test_layers_are_scanned_on_demand_and_then_known(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, small_baselines: dict[str, Path]
) -> None:
    monkeypatch.setattr("core.ui.layers.sensitivity.SCAN_RATIOS", (0.5,))
    monkeypatch.setattr("core.ui.layers.sensitivity.SCAN_IMAGES", 100)
    monkeypatch.setattr(
        "core.ui.layers.sensitivity.scan_points",
        lambda model, method, criterion, seed: scan_points(
            model, method, (0.5,), criterion=criterion, seed=seed
        ),
    )
    app = open_app("layers", dataset="digits", view="Sensitivity")
    assert "not scanned yet" in words(app)
    app.button(key="scan_layers").click().run()
    assert_calm(app)
    cells = [frames["cells"] for frames in frames_of(app) if "unit" in frames.get("cells", ())]
    assert [len(frame) for frame in cells] == [21, 12]
    again = open_app("layers", dataset="digits", view="Sensitivity")
    assert "Scan the layers" not in [button.label for button in again.button]

    model = checkpoint.load(small_baselines["digits"]).network
    dataset = load("digits")
    chosen = subset_indices(dataset.test_labels, 100, 0)
    spec = PruningSpec("channel", 0.0, overrides=(("layer2.0.conv1", 0.5),))
    expected = evaluate_fully(
        prune(model, spec).network, dataset.test_images[chosen], dataset.test_labels[chosen]
    )
    found = cells[1].set_index("unit")["accuracy"]["layer2.0.conv1"]
    assert found == expected.accuracy


@pytest.fixture
def scanned(
    small_baselines: dict[str, Path], digits: DataSet, measure_into: MeasureInto
) -> ResultStore:
    """A store in which both methods were scanned as pruned at three ratios, on 100 images."""
    loaded = checkpoint.load(small_baselines["digits"])
    store = open_store()
    measurer = ScanMeasurer(loaded, digits, 100, 0)
    for method in ("fine", "channel"):
        measure_into(store, measurer, scan_points(loaded.network, method, SOME_RATIOS, ["none"]))
    return store


@pytest.fixture
def small_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sensitivity", "budget_solving"):
        monkeypatch.setattr(f"core.ui.layers.{module}.SCAN_RATIOS", SOME_RATIOS)
    for module in ("sensitivity", "budget", "budget_solving"):
        monkeypatch.setattr(f"core.ui.layers.{module}.SCAN_IMAGES", 100)


@pytest.mark.usefixtures("small_baselines", "small_scan", "scanned")
def test_ratios_by_hand_are_copied_from_the_scan_measured_and_reset(open_app: OpenApp) -> None:
    app = open_app("layers", dataset="digits", view="By hand", subset="100", ratio="0.4")
    assert_calm(app)
    both = metrics(app)["Accuracy"]
    assert len(both) == 2
    assert both[0] == both[1]
    assert metrics(app)["Parameters"][0] == metrics(app)["Parameters"][1]

    next(button for button in app.button if button.label == "From sensitivity").click().run()
    assert_calm(app)
    copied = app.session_state["own_Fine-grained"].ratios
    assert len(copied) == 21
    assert set(copied.values()) <= {0.0, *SOME_RATIOS}
    assert metrics(app)["Parameters"][0] != metrics(app)["Parameters"][1]

    next(button for button in app.button if button.label == "Reset").click().run()
    assert_calm(app)
    assert metrics(app)["Parameters"][0] == metrics(app)["Parameters"][1]


@pytest.mark.usefixtures("small_baselines", "small_scan", "scanned")
@pytest.mark.parametrize("goal", ["parameters left", "MACs left", "accuracy lost"])
@pytest.mark.parametrize("method", ["Fine-grained", "Channels"])
def test_a_budget_is_solved_and_judged_on_other_images(
    open_app: OpenApp, goal: str, method: str
) -> None:
    app = open_app("layers", dataset="digits", view="Budget")
    app.button_group(key="budget_method").set_value(method)
    app.selectbox(key="budget_goal").set_value(goal)
    app.number_input(key="budget_limit").set_value(40.0)
    next(button for button in app.button if button.label == "Solve").click().run()
    assert_calm(app)
    (found,) = [frames["contenders"] for frames in frames_of(app) if "contenders" in frames]
    assert "by sensitivity" in set(found["name"])
    assert len(found) >= 2
    assert set(found["seen"]) == {400}  # the digits' 500 without the 100 that chose
    if goal != "accuracy lost":
        assert (found["left"] <= 0.4).all()
    assert "judged on the other 400" in words(app)
    assert "Ratios by sensitivity keep" in words(app)


@pytest.fixture
def quick_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time each layer once: what matters here is where the numbers go."""
    monkeypatch.setattr(times, "ROUNDS", 1)
    monkeypatch.setattr(times, "LEAST_SECONDS", 0)
    monkeypatch.setattr(kept, "WHOLE_ROUNDS", 1)
    monkeypatch.setattr(latency.measure_latency, "__defaults__", (1,))


@pytest.mark.usefixtures("small_scan", "scanned", "quick_times")
def test_a_budget_in_time_is_planned_measured_and_kept(
    open_app: OpenApp, checkpoints: Path
) -> None:
    app = open_app("layers", dataset="digits", view="Budget")
    app.button_group(key="budget_method").set_value("Channels")
    app.selectbox(key="budget_goal").set_value("times as fast")
    app.number_input(key="budget_limit").set_value(1.25)
    next(button for button in app.button if button.label == "Solve").click().run()
    assert_calm(app)
    (found,) = [frames["contenders"] for frames in frames_of(app) if "contenders" in frames]
    assert (found["left"] <= 0.8).all()
    said = words(app)
    assert "At most 80.0% of the time" in said
    predicted = [float(each) for each in re.findall(r"predicted ([\d.]+) ms", said)]
    assert len(predicted) == len(found)
    assert said.count("measured ") >= len(found)
    (table,) = (checkpoints / "local" / "times").glob("*.json")
    whole = 1e3 * LayerTimes.from_json(table.read_text()).whole
    planned = sorted(whole * found["left"])
    assert sorted(predicted) == pytest.approx(planned, abs=0.02)


@pytest.mark.usefixtures("small_scan", "scanned")
def test_a_budget_in_time_is_for_channels(open_app: OpenApp) -> None:
    app = open_app("layers", dataset="digits", view="Budget")
    app.button_group(key="budget_method").set_value("Fine-grained")
    app.selectbox(key="budget_goal").set_value("milliseconds")
    next(button for button in app.button if button.label == "Solve").click().run()
    assert_calm(app)
    assert "Zeros save no time on dense kernels" in words(app)


@pytest.mark.usefixtures("small_baselines")
def test_a_budget_without_a_scan_says_what_to_do(open_app: OpenApp) -> None:
    app = open_app("layers", dataset="digits", view="Budget")
    next(button for button in app.button if button.label == "Solve").click().run()
    assert_calm(app)
    assert "under Sensitivity" in words(app)


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_without_images_a_scan_says_why_not(open_app: OpenApp) -> None:
    app = open_app("layers", view="Sensitivity")
    app.button(key="scan_layers").click().run()
    assert_calm(app)
    assert "CIFAR10_DIR" in words(app)


@pytest.mark.usefixtures("small_baselines")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_is_the_first_thing_asked_of_a_server_has_its_sidebar(page: str) -> None:
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.query_params["dataset"] = "digits"
    app.switch_page(f"pages/{page}.py").run()
    assert_calm(app)
    assert app.slider(key="ratio").value == 0.3


@pytest.mark.usefixtures("small_baselines")
def test_baseline_shows_what_the_file_says_of_itself(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    app = open_app("baseline", dataset="digits")
    accuracy = checkpoint.load(small_baselines["digits"]).metadata["accuracy"]
    assert metrics(app)["Test images right"] == [f"{accuracy['correct']} of {accuracy['seen']}"]
    assert "1,297 training and 500 test images" in words(app)


@pytest.mark.usefixtures("checkpoints")
def test_training_from_the_page_gives_a_baseline_that_can_be_used(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = partial(Request, width=4)
    monkeypatch.setattr(training, "Request", narrow)
    given_way: list[object] = []

    def counted(events: Iterator[object], _notice: object) -> Iterator[object]:
        for event in events:
            given_way.append(event)
            yield event

    monkeypatch.setattr(training, "yield_to_evaluations", counted)
    app = open_app("baseline", dataset="digits")
    app.number_input(key="epochs_digits").set_value(1)
    next(button for button in app.button if button.label == "Train").click().run()
    assert_calm(app)
    assert any("test images right" in success.value for success in app.success)
    assert {type(event) for event in given_way} >= {Step, EpochEnd, Checkpoint}
    next(button for button in app.button if button.label == "Use it now").click().run()
    assert_calm(app)
    assert app.session_state["baseline"] == "resnet18-digits-1ep-w4"
    assert metrics(app)["Epochs"] == ["1"]


def findings(app: AppTest) -> str:
    """What the page Methods says of the digits' baseline and images, without its fixed text."""
    text = explanation("digits").strip()
    assert text in words(app)
    return words(app).replace(text, "")


@pytest.mark.parametrize("copy", ["", "a copy of the digits that was scanned"])
def test_the_findings_are_said_of_the_images_and_the_baseline_in_use(
    open_app: OpenApp,
    small_baselines: dict[str, Path],
    digits: DataSet,
    monkeypatch: pytest.MonkeyPatch,
    copy: str,
) -> None:
    if copy:
        monkeypatch.setitem(KNOWN_COPIES, digits.fingerprint, copy)
    points = grid(["fine"], [0.0, 0.3], recoveries=["none", "bn"])
    keep(small_baselines["digits"], digits, OWN, points)
    said = findings(open_app("methods", dataset="digits"))
    assert "JPEG" not in said
    assert (f"on 500 test images, of {copy}, with" in said) == bool(copy)
    assert ("on 500 test images, with" in said) == (not copy)
    model = checkpoint.load(small_baselines["digits"]).network
    before, after = (
        evaluate_fully(network, digits.test_images, digits.test_labels, OWN).accuracy
        for network in (model, recovered(model, Recovery.named("bn"), digits, OWN))
    )
    numbers = re.search(r"nothing pruned, from ([\d.]+)% ± \S+ to ([\d.]+)%", said)
    assert numbers is not None
    assert numbers.groups() == (f"{100 * before:.1f}", f"{100 * after:.1f}")


def test_the_findings_of_a_baseline_whose_name_ships_too_lead_to_its_own_numbers(
    open_app: OpenApp, small_baselines: dict[str, Path], trained: Checkpoint, digits: DataSet
) -> None:
    shipped = small_baselines["digits"]
    local = shipped.parent / "local" / shipped.name
    checkpoint.save(random_network(), local, "digits", metadata_of(trained))
    measurer = Measurer(checkpoint.load(local), digits)
    for _ in sweep(measurer, grid(["fine"], [0, 0.3], recoveries=["none"]), open_store()):
        pass
    app = open_app("methods", dataset="digits", baseline=f"{local.stem} (local)")
    assert "of this baseline" in words(app)
    link = re.search(r"\[(\S+) ± \S+\]\((\S+)\)", words(app))
    assert link is not None
    found, address = link.groups()
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    linked = open_app("compare", **query)
    assert metrics(linked)["Accuracy"][0] == f"{found}%"
    assert not linked.warning


@pytest.mark.usefixtures("small_baselines", "no_images")
@pytest.mark.parametrize("page", PAGES)
def test_a_baseline_that_is_not_here_is_said_until_another_is_chosen(
    open_app: OpenApp, page: str, small_baselines: dict[str, Path]
) -> None:
    other = small_baselines["cifar10"].with_stem("another-3ep")
    shutil.copy(small_baselines["cifar10"], other)
    app = open_app(page, baseline="a-colleagues")
    assert "`a-colleagues` that is not on this machine" in words(app)
    assert f"shows `{other.stem}` instead" in words(app)
    app.slider(key="ratio").set_value(0.5).run()
    assert "`a-colleagues` that is not on this machine" in words(app)
    app.selectbox(key="baseline").set_value(small_baselines["cifar10"].stem).run()
    assert_calm(app)
    assert "not on this machine, or" not in words(app)
    known = open_app(page, baseline=other.stem)
    assert "not on this machine, or" not in words(known)


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_a_damaged_baseline_is_left_out(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    whole = small_baselines["cifar10"].read_bytes()
    small_baselines["cifar10"].write_bytes(whole[: len(whole) // 2])
    assert "no trained baseline" in words(open_app("layers"))


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize(
    ("further", "provenance", "methods"),
    [
        ({}, ["random weights from the seed", "the labels"], ["label smoothing"]),
        (
            {"started_from": {"fingerprint": "0123", "epochs": 7}, "teachers": ["4567", "89ab"]},
            ["the weights 0123, after 7 epochs", "probabilities of the baselines 4567 and 89ab"],
            ["mean probabilities of 2 networks", "continued from a network of 7 epochs"],
        ),
        (
            {"recipe": {"epochs": 6, "sharpness_aware": 4, "sharpness_radius": 0.2}},
            ["sharpness aware 4, sharpness radius 0.2"],
            ["sharpness-aware (SAM, radius 0.2) in the last 4 epochs"],
        ),
        (
            {
                "started_from": {
                    "fingerprint": "0123",
                    "epochs": 7,
                    "recipe": {"epochs": 2, "optimiser": "sgd"},
                    "teachers": ["89ab"],
                    "started_from": {"fingerprint": "4567", "epochs": 5},
                }
            },
            [
                "Recipe of 0123",
                "epochs 2, optimiser sgd; started from the weights 4567, after 5 epochs; "
                "trained on the mean probabilities of the baselines 89ab",
            ],
            ["label smoothing", "continued from a network of 7 epochs"],
        ),
    ],
)
def test_what_a_baseline_came_from_is_told(
    open_app: OpenApp,
    checkpoints: Path,
    trained: Checkpoint,
    further: dict[str, Any],
    provenance: list[str],
    methods: list[str],
) -> None:
    path = checkpoints / "resnet18-cifar10-2ep.safetensors"
    checkpoint.save(trained.network, path, "cifar10", {**metadata_of(trained), **further})
    table = " ".join(open_app("baseline").table[0].value.to_numpy().flatten())
    assert all(text in table for text in provenance)
    told = words(open_app("methods"))
    assert all(text in told for text in methods)


def without(metadata: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Metadata that lacks an entry, or an entry of an entry."""
    first, *rest = names
    if not rest:
        return {name: value for name, value in metadata.items() if name != first}
    return {**metadata, first: without(metadata[first], *rest)}


def entries(metadata: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Every entry of metadata, and every entry of one that has entries."""
    found: list[tuple[str, ...]] = [(name,) for name in metadata]
    for name, value in metadata.items():
        if isinstance(value, dict):
            found += [(name, key) for key in value]
    return found


SAID_TO_BE_MISSING = {
    *((name,) for name in (*TRAINING_FIELDS, "versions", "commit") if name != "imported"),
    *(("accuracy", "precision"), ("accuracy", "device")),
    *(("history", "curve"), ("history", "epochs")),
}


@pytest.mark.usefixtures("no_images")
def test_whatever_a_baseline_does_not_say_of_itself_its_pages_open_and_say_so(
    open_app: OpenApp, checkpoints: Path, trained: Checkpoint
) -> None:
    path = checkpoints / "resnet18-cifar10-2ep.safetensors"
    whole = metadata_of(trained)
    assert set(entries(whole)) > SAID_TO_BE_MISSING
    for names in entries(whole):
        if names[0] == "recipe" and len(names) == 2:  # takes its default
            continue
        checkpoint.save(trained.network, path, "cifar10", without(whole, *names), overwrite=True)
        st.cache_resource.clear()
        app = open_app("baseline")
        said = words(app) + tables(app) + str(metrics(app))
        assert ("not recorded" in said) == (names in SAID_TO_BE_MISSING), names
        app.switch_page("pages/methods.py").run()
        assert_calm(app)


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_a_baseline_that_says_nothing_of_its_training(
    open_app: OpenApp, checkpoints: Path, trained: Checkpoint, page: str
) -> None:
    whole = metadata_of(trained)
    least: dict[str, Any] = {name: whole[name] for name in ("kind", *BASELINE_FIELDS)}
    least["accuracy"] = {name: least["accuracy"][name] for name in ("correct", "seen")}
    path = checkpoints / "resnet18-cifar10-2ep.safetensors"
    checkpoint.save(trained.network, path, "cifar10", least)
    open_app(page)


def tables(app: AppTest) -> str:
    return " ".join(str(text) for table in app.table for text in table.value.to_numpy().flatten())


@pytest.mark.usefixtures("cifar10")
@pytest.mark.parametrize("page", PAGES)
def test_the_baseline_that_ships_works_on_cifar10(open_app: OpenApp, page: str) -> None:
    app = open_app(page, subset="50")
    if page == "compare":
        assert all(value.endswith("%") for value in metrics(app)["Accuracy"])


def test_layers_that_cannot_be_pruned_say_why(
    open_app: OpenApp, small_baselines: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reasons() -> Any:
        app = open_app("layers", dataset="digits")
        (expander,) = [each for each in app.expander if "why" in each.label]
        return expander

    assert small_baselines
    shown = reasons()
    assert shown.label == "What cannot be pruned, and why (1)"
    assert shown.text[0].value == "fc keeps its output channels: they are the network's output."
    notes = ("_conv_ keeps its output channels: roll reads them.", "fc keeps them too.")
    monkeypatch.setattr(ChannelPruner, "notes", lambda *_: notes)
    st.cache_resource.clear()
    shown = reasons()
    assert shown.label == "What cannot be pruned, and why (2)"
    assert [each.value for each in shown.text] == list(notes)  # nothing in a name is markup
