"""The page Efficiency: what it says is what was stored, measured and weighed."""

import hashlib
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import paths
from core.__main__ import main
from core.data.dataset import DataSet
from core.device import best_device
from core.export.runtimes import RUNTIMES
from core.measuring.alternating import Speedup
from core.measuring.cost import compressed_bytes
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint, to_bytes
from core.pruning import prune
from core.results import Conditions, Latency, LatencyKey, open_latencies, open_store
from core.specs.grid import grid
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, RECALIBRATED, Recovery
from core.studies import latency as study
from core.studies.latency import conditions_here
from core.studies.pareto import frontier
from core.sweeps.known import BASELINE
from core.sweeps.measurer import Measurer
from core.ui.efficiency import conditions as ui_conditions
from core.ui.efficiency.taking import MADE
from core.ui.efficiency.timing import pays_from
from core.ui.sidebar.standing import options_of
from tests.conftest import MeasureInto
from tests.pages.conftest import OpenApp, assert_calm
from tests.pages.test_pages import frames_of, words

SETTINGS = {"dataset": "digits", "ratio": "0.5"}
RATIOS = (0.3, 0.5, 0.7)


@pytest.fixture
def baseline(small_baselines: dict[str, Path]) -> Checkpoint:
    return checkpoint.load(small_baselines["digits"])


def made_up(
    baseline: Checkpoint, spec: PruningSpec, conditions: Conditions, speedup: float
) -> Latency:
    key = LatencyKey.of(baseline.fingerprint, baseline.signature.identity, spec, conditions)
    found = Speedup(speedup - 0.02, speedup, speedup + 0.03, 0.01 / speedup, 0.01, 21)
    memory, date = (1_000_000, 2_000_000), "2026-11-28T12:00:00+00:00"
    return Latency(key, found, 1 - spec.ratio, *memory, "beads", date)


@pytest.fixture
def elsewhere() -> Conditions:
    return Conditions("an abacus, 7 rods", "cpu", "pytorch", "fp32", 1, 1, "torch 1.0")


@pytest.fixture
def timed(baseline: Checkpoint, elsewhere: Conditions) -> list[Latency]:
    """Channels twice as fast at 0.5, weights no faster, on another machine."""
    found = [
        made_up(baseline, PruningSpec(method, ratio), elsewhere, speedup)
        for method, speedups in (("channel", (1.5, 2.0, 3.0)), ("fine", (1.0, 1.01, 0.99)))
        for ratio, speedup in zip(RATIOS, speedups, strict=True)
    ]
    for latency in found:
        open_latencies().put(latency)
    return found


def frame_with(app: AppTest, name: str) -> pd.DataFrame:
    (found,) = [each[name] for each in frames_of(app) if name in each]
    return found


@pytest.mark.usefixtures("timed", "no_images")
def test_what_was_timed_elsewhere_is_shown_and_said(open_app: OpenApp) -> None:
    app = open_app("efficiency", **SETTINGS)
    said = words(app)
    assert "2.00 times as fast (1.98 to 2.03), 5.00 beside 10.00 ms" in said
    assert "no difference (0.99 to 1.04 times as fast)" in said
    assert "an abacus, 7 rods · PyTorch, fp32 · 1 image · 1 thread" in str(
        app.selectbox(key="conditions").value
    )
    assert "choose conditions that this machine offers" in said
    assert "Measured on an abacus, 7 rods" in said
    assert "torch 1.0 (beads)" in said
    points = frame_with(app, "points")
    by_method = points.sort_values("ratio").groupby("method")
    assert by_method["ratio"].apply(list)["Channels"] == list(RATIOS)
    assert by_method["time_saved"].apply(list)["Channels"] == pytest.approx([1 / 3, 1 / 2, 2 / 3])
    assert points.loc[points["current"], "ratio"].tolist() == [0.5, 0.5]
    assert points["macs_removed"].tolist() == pytest.approx(points["ratio"].tolist())


def test_nothing_measured_is_said(open_app: OpenApp, baseline: Checkpoint) -> None:
    assert baseline.fingerprint
    app = open_app("efficiency", **SETTINGS)
    assert words(app).count("not measured under these conditions") == 2
    assert frames_of(app) == []


def test_a_button_measures_both_methods_here(
    open_app: OpenApp, baseline: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study.measure_latency, "__defaults__", (2,))  # rounds
    app = open_app("efficiency", **SETTINGS)
    (button,) = [each for each in app.button if each.label == "Measure here"]
    button.click().run()
    assert_calm(app)
    assert "not measured" not in words(app)
    found = open_latencies().of(baseline.fingerprint)
    assert {each.key.settings for each in found} == {'{"method":"fine"}', '{"method":"channel"}'}
    assert all(each.speedup.rounds == 6 for each in found)
    assert len(frame_with(app, "points")) == 2


def test_conditions_that_cannot_be_measured_here_offer_no_button(
    open_app: OpenApp, timed: list[Latency]
) -> None:
    app = open_app("efficiency", **SETTINGS)
    assert not [each for each in app.button if each.label.startswith("Measure")]
    here = conditions_here(
        RUNTIMES["pytorch"], "fp32", 1, ui_conditions.measurable()[0].threads, best_device()
    )
    assert len(timed) == 6
    (label,) = [
        each
        for each in app.selectbox(key="conditions").options
        if each.startswith(f"{here.machine} · PyTorch,") and "1 image" in each
    ]
    app.selectbox(key="conditions").select(label).run()
    assert_calm(app)
    assert len([each for each in app.button if each.label.startswith("Measure")]) == 3


@pytest.fixture
def results(
    baseline: Checkpoint, digits: DataSet, measure_into: MeasureInto
) -> list[tuple[Point, int, int, int]]:
    """Each point with its images right, parameters that are not zero, and MACs."""
    points = [BASELINE, *grid(["fine", "channel"], RATIOS, recoveries=["none", "bn"])]
    measured = measure_into(open_store(), Measurer(baseline, digits), points)
    return [
        (
            Point(each.key.spec, each.key.recovery),
            each.evaluation.correct,
            each.cost.nonzero,
            each.cost.macs,
        )
        for each in measured
    ]


@pytest.mark.parametrize(("quantity", "column"), [("parameters", 2), ("MACs", 3)])
def test_the_frontier_is_of_everything_that_is_known(
    open_app: OpenApp, results: list[tuple[Point, int, int, int]], quantity: str, column: int
) -> None:
    app = open_app("efficiency", **SETTINGS, efficiency="Frontier", pareto_quantity=quantity)
    drawn = pd.concat([frame_with(app, "points"), frame_with(app, "baselines")])
    drawn = drawn[drawn["own"]]
    found = sorted(zip(drawn["correct"], drawn[quantity], drawn["on_frontier"], strict=True))
    costs = np.array([row[column] for row in results], dtype=float)
    right = np.array([row[1] for row in results], dtype=float)
    assert found == sorted(zip(right, costs, frontier(costs, right), strict=True))


@pytest.mark.usefixtures("results", "timed", "no_images")
def test_latency_joins_the_frontier_where_it_was_measured(open_app: OpenApp) -> None:
    app = open_app("efficiency", **SETTINGS, efficiency="Frontier", pareto_quantity="latency")
    drawn = frame_with(app, "points")
    by_name = dict(zip(drawn["name"], drawn["latency"], strict=True))
    assert by_name["channel 0.5"] == pytest.approx(5.0)  # milliseconds
    assert by_name["fine 0.5"] == pytest.approx(10.0)  # no difference is no gain


def test_sizes_are_those_of_files(open_app: OpenApp, baseline: Checkpoint) -> None:
    app = open_app("efficiency", **SETTINGS, efficiency="Size")
    stored = frame_with(app, "stored").set_index(["storage", "network"])["bytes"]
    network = prune(baseline.network, PruningSpec("channel", 0.5)).network
    assert stored["dense", "Channels"] == len(to_bytes(network.module))
    assert stored["dense, zlib", "Channels"] == compressed_bytes(network.module)
    assert stored["dense", "Fine-grained"] == stored["dense", "Unpruned"]
    assert "smallest as" in words(app)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (
            Point(PruningSpec("channel", 0.4, "taylor", "global", "internal"), RECALIBRATED),
            {"channels": "removed", "criterion": "Taylor", "allocation": "global"},
        ),
        (
            Point(PruningSpec("fine", 0.9, allocation="lamp"), NOTHING),
            {"weights": "LAMP", "weight_criterion": "L1", "recovery": "as pruned"},
        ),
        (
            Point(PruningSpec("hybrid", 0.3, rest_ratio=0.5), Recovery("finetune", 2000)),
            {"channels": "hybrid", "rest": 0.5, "recovery": "reconstructed"},
        ),
        (Point(PruningSpec("fine", 0.5, allocation="global", ceiling=0.93), NOTHING), None),
        (Point(PruningSpec("channel", 0.99), NOTHING), None),
        (Point(PruningSpec("fine", 0.1, overrides=(("fc", 0.5),)), NOTHING), None),
        (Point(PruningSpec("hybrid", 0.3, rest_ratio=0.97), NOTHING), None),
        (Point(PruningSpec("hybrid", 0.3, rest_ratio=0.5, rest_allocation="lamp"), NOTHING), None),
        (Point(PruningSpec("channel", 0.3, "random", seed=7), NOTHING), {"seed": 7}),
        (Point(PruningSpec("channel", 0.5), Recovery("merge")), None),
        (Point(PruningSpec("channel", 0.5), replace(RECALIBRATED, images=7)), None),
    ],
)
def test_the_sidebar_can_stand_at_what_it_has_controls_for(
    point: Point, expected: dict[str, object] | None
) -> None:
    options = options_of(point)
    if expected is None:
        assert options is None
        return
    assert options is not None
    assert options["ratio"] == point.spec.ratio
    assert options | expected == options


def test_the_table_of_latencies_is_in_the_folder_of_checkpoints(timed: list[Latency]) -> None:
    assert timed
    assert (paths.CHECKPOINTS / "local" / "latencies.sqlite").exists()


def press(app: AppTest, label: str) -> None:
    (button,) = [each for each in app.button if each.label == label]
    button.click().run()
    assert_calm(app)


def files_of(app: AppTest) -> dict[str, bytes]:
    """What the page offers to take, by file name."""
    return dict(app.session_state[MADE].bundle.files)


def test_the_files_are_of_the_network_and_come_with_a_card(
    open_app: OpenApp, baseline: Checkpoint, results: list[tuple[Point, int, int, int]]
) -> None:
    app = open_app("efficiency", **SETTINGS, efficiency="Take away", recovery="BN recalibrated")
    app.multiselect(key="formats").set_value(["Checkpoint", "PyTorch", "ONNX"]).run()
    press(app, "Make the files")
    files = files_of(app)
    name = "resnet18_digits_2ep_channel_0_5_bn"
    endings = (".safetensors", ".pt", ".py", ".onnx", ".card.json", ".card.md")
    assert files.keys() == {name + ending for ending in endings}
    card = json.loads(files[f"{name}.card.json"])
    by_point = {row[0]: row for row in results}
    point = Point(PruningSpec("channel", 0.5), RECALIBRATED)
    assert card["setting"] == "channel 0.5 recovery=bn"
    assert card["accuracy"]["correct"] == by_point[point][1]
    assert card["baseline_accuracy"]["correct"] == by_point[BASELINE][1]
    assert card["costs"]["macs"] == by_point[point][3]
    assert card["baseline"]["fingerprint"] == baseline.fingerprint
    for each in card["files"]:
        assert hashlib.sha256(files[each["name"]]).hexdigest() == each["sha256"]
    assert card["command"].startswith("python -m core export 'channel 0.5 recovery=bn' --baseline")
    said = [each.value for each in app.success]
    assert len(said) == 1
    assert said[0].count("test images") == 2  # the third has the same tensors, to the bit
    labels = [element.proto.label for element in app.get("download_button")]
    assert labels[0] == f"{name}.zip"


def test_other_settings_take_what_was_made_away(
    open_app: OpenApp, small_baselines: dict[str, Path]
) -> None:
    assert small_baselines
    app = open_app("efficiency", **SETTINGS, efficiency="Take away")
    app.multiselect(key="formats").set_value(["Checkpoint"]).run()
    press(app, "Make the files")
    assert app.success
    app.slider(key="ratio").set_value(0.6).run()
    assert_calm(app)
    assert not app.success


@pytest.mark.usefixtures("small_baselines", "no_images")
def test_without_images_files_are_checked_on_random_ones(open_app: OpenApp) -> None:
    chosen = {"dataset": "cifar10", "ratio": "0.5", "efficiency": "Take away"}
    app = open_app("efficiency", **chosen)
    press(app, "Make the files")  # as ONNX
    assert "random images; no accuracy was compared" in app.success[0].value
    app = open_app("efficiency", **chosen, recovery="BN recalibrated")
    app.multiselect(key="formats").set_value(["PyTorch"]).run()
    press(app, "Make the files")
    assert not app.success
    assert "CIFAR-10" in app.warning[0].value


@pytest.mark.usefixtures("small_baselines")
def test_what_is_not_installed_is_said(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    app = open_app("efficiency", **SETTINGS, efficiency="Take away")
    assert "pip install -r requirements-export.txt" in words(app)
    assert app.multiselect(key="formats").options == ["Checkpoint", "PyTorch"]


def test_masked_filters_have_no_odd_widths(open_app: OpenApp, baseline: Checkpoint) -> None:
    here = ui_conditions.measurable()[0]
    for ratio in (0.4, 0.5):
        latency = made_up(baseline, PruningSpec("channel-mask", ratio), here, 1.0)
        open_latencies().put(latency)
    app = open_app("efficiency", **SETTINGS, channels="masked")
    assert "on zeros: no difference" in words(app)
    assert "Odd widths" not in words(app)
    labels = [each.label for each in app.button if each.label.startswith("Measure")]
    assert labels == ["Measure here", "Measure the curves"]


def test_the_cards_command_makes_the_same_files(
    open_app: OpenApp,
    small_baselines: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    app = open_app("efficiency", **SETTINGS, efficiency="Take away")
    app.multiselect(key="formats").set_value(["PyTorch"]).run()
    press(app, "Make the files")
    files = files_of(app)
    (card,) = [json.loads(each) for name, each in files.items() if name.endswith(".json")]
    monkeypatch.chdir(tmp_path)
    program = shlex.split(card["command"])
    assert program[:3] == ["python", "-m", "core"]
    assert small_baselines["digits"].is_relative_to(tmp_path)
    assert main(program[3:]) == 0
    for name, content in files.items():
        if name.endswith((".pt", ".py")):
            assert (tmp_path / "exported" / name).read_bytes() == content


@pytest.mark.parametrize(
    ("lows", "expected"),
    [
        ([-0.5, -0.1, 0.2], 0.9),
        ([0.1, -0.1, 0.2], 0.9),  # faster, slower, faster: it pays from the last change on
        ([0.1, 0.1, 0.2], 0.5),
        ([0.1, 0.1, -0.2], None),
        ([0.0, 0.0, 0.0], None),
    ],
)
def test_sparse_kernels_pay_from_where_nothing_is_slower(
    lows: list[float], expected: float | None
) -> None:
    ratios = [0.5, 0.7, 0.9]
    frame = pd.DataFrame(
        {"method": "Fine-grained", "ratio": ratios, "macs_removed": ratios, "low": lows}
    )
    channels = pd.DataFrame(
        {"method": ["Channels"], "ratio": [0.3], "macs_removed": [0.3], "low": [0.9]}
    )
    assert pays_from(pd.concat([frame, channels])) == expected
