"""Every page, in every state of baseline and data, as AppTest sees it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core import baseline, checkpoint
from core.baseline import CHECKPOINTS
from core.data import DataSet, subset_indices
from core.evaluation import evaluate_fully
from core.model import Widths, nonzero_parameters
from core.pruning import PruningSpec, prune
from tests.pages.conftest import PAGES, OpenApp, assert_calm


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
@pytest.mark.parametrize("page", PAGES)
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
    assert len(charts(open_app("layers"))) == 3


@pytest.mark.usefixtures("small_baselines")
def test_compare_shows_what_an_evaluation_apart_from_it_finds(
    open_app: OpenApp, digits: DataSet, small_baselines: dict[str, Path]
) -> None:
    app = open_app("compare", dataset="digits", ratio="0.4", subset="200", seed="3")
    model = checkpoint.load(small_baselines["digits"]).model
    chosen = subset_indices(digits.test_labels, 200, 3)
    for side, method in enumerate(("fine", "channel")):
        pruned = prune(model, PruningSpec(method, 0.4)).model
        result = evaluate_fully(pruned, digits.test_images[chosen], digits.test_labels[chosen])
        assert metrics(app)["Accuracy"][side] == f"{result.accuracy:.1%}"
        left = sum(nonzero_parameters(pruned).values())
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
def test_the_curve_is_filled_in_on_demand(open_app: OpenApp) -> None:
    app = open_app("compare", dataset="digits", subset="50")
    next(button for button in app.button if "curve" in button.label).click().run()
    assert_calm(app)
    ratios = {row["ratio"] for row in points_of(app) if row["method"] == "Channels"}
    assert ratios >= {step / 10 for step in range(10)}


def points_of(app: AppTest) -> list[dict[str, Any]]:
    """The measured points of the accuracy chart."""
    for element in app.get("vega_lite_chart"):
        for data in element.proto.datasets:
            rows = pa.ipc.open_stream(data.data.data).read_pandas()
            if {"correct", "seen"} <= set(rows.columns):
                return [dict(row) for _, row in rows.iterrows()]
    return []


@pytest.mark.usefixtures("small_baselines")
def test_matched_by_parameters_both_methods_leave_about_as_many(open_app: OpenApp) -> None:
    app = open_app("compare", dataset="digits", ratio="0.5", subset="50", match="parameters left")
    left = [metric.delta for metric in app.metric if metric.label == "Parameters"]
    shares = np.array([float(delta.removesuffix("% left")) for delta in left])
    assert np.all(np.abs(shares - 50) < 4)


@pytest.mark.usefixtures("small_baselines")
@pytest.mark.parametrize(
    "query",
    [
        {"channels": "masked"},
        {"criterion": "BN γ", "allocation": "global"},
        {"criterion": "L2", "scope": "internal"},
        {"criterion": "random", "seed": "7"},
        {"ratio": "0"},
        {"ratio": "0.95"},
        {"match": "parameters left", "scope": "internal", "ratio": "0.95"},
        {"x": "MACs", "study": "false"},
        {"ratio": "0.333", "subset": "77"},
        {"ratio": "nan", "subset": "-5", "seed": "x", "criterion": "<b>", "dataset": "digits"},
    ],
    ids=str,
)
def test_every_setting_works_on_every_page(open_app: OpenApp, query: dict[str, str]) -> None:
    app = open_app("compare", **({"dataset": "digits", "subset": "50"} | query))
    for page in PAGES[1:]:
        app.switch_page(f"pages/{page}.py").run()
        assert_calm(app)


@pytest.mark.usefixtures("small_baselines")
def test_layers_draws_every_layer_at_every_step_below_two_thousand_marks(
    open_app: OpenApp,
) -> None:
    app = open_app("layers", dataset="digits")
    sizes = [
        pa.ipc.open_stream(data.data.data).read_all().num_rows
        for element in app.get("vega_lite_chart")
        for data in element.proto.datasets
    ]
    assert 21 * 20 in sizes
    assert sum(sizes) < 2 * 2000


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
    narrow = partial(baseline.Request, widths=Widths.regular(4))
    monkeypatch.setattr(baseline, "Request", narrow)
    app = open_app("baseline", dataset="digits")
    app.number_input(key="epochs_digits").set_value(1)
    next(button for button in app.button if button.label == "Train").click().run()
    assert_calm(app)
    assert any("test images right" in success.value for success in app.success)
    next(button for button in app.button if button.label == "Use it now").click().run()
    assert_calm(app)
    assert app.session_state["baseline"] == "resnet18-digits-1ep-w4"
    assert metrics(app)["Epochs"] == ["1"]


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_a_damaged_baseline_is_left_out(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    whole = small_baselines["cifar10"].read_bytes()
    small_baselines["cifar10"].write_bytes(whole[: len(whole) // 2])
    assert "no trained baseline" in words(open_app("layers"))


@pytest.mark.usefixtures("cifar10")
@pytest.mark.parametrize("page", PAGES)
def test_the_baseline_that_ships_works_on_cifar10(open_app: OpenApp, page: str) -> None:
    if not any(CHECKPOINTS.glob("*cifar10*.safetensors")):
        pytest.skip("no CIFAR-10 baseline in checkpoints/")
    app = open_app(page, subset="50")
    if page == "compare":
        assert all(value.endswith("%") for value in metrics(app)["Accuracy"])
