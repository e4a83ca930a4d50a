"""What the accuracy chart is given, and that Vega draws it, away from any page."""

from collections.abc import Mapping
from xml.etree import ElementTree

import pandas as pd
import pytest
import vl_convert

from core import charts
from core.charts import CURVES, STUDY, Drawing, accuracy_against
from core.charts.accuracy import RECOVERY_LABELS
from core.charts.layers import SECOND
from core.specs.vocabulary import GRANULARITIES

COLORS = ["#0072B2", "#D55E00"]
PRINTED_WIDTH = 720  # pixels across the plot
HERE = dict.fromkeys(GRANULARITIES, 0.3)


def points(
    ratios: list[float], method: str = GRANULARITIES[0], recovery: str = RECOVERY_LABELS[0]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": method,
            "recovery": recovery,
            "ratio": ratios,
            "parameters_removed": ratios,
            "macs_removed": 0.0,
            "accuracy": [0.8 - ratio / 2 for ratio in ratios],
            "low": [0.79 - ratio / 2 for ratio in ratios],
            "high": [0.81 - ratio / 2 for ratio in ratios],
            "correct": [round(8000 - 5000 * ratio) for ratio in ratios],
            "seen": 10_000,
            "precision": "bf16",
        }
    )


def drawing(
    measured: pd.DataFrame,
    x: str = "ratio",
    baseline: float | None = None,
    current: Mapping[str, float] | None = None,
    study: bool = False,
    chance: float = 0.1,
) -> Drawing:
    return accuracy_against(x, measured, baseline, chance, current or {}, study, picking="picked")


def test_only_data_differs_whatever_is_known() -> None:
    full = drawing(points([0, 0.1]), baseline=0.8, current=HERE, study=True)
    empty = drawing(points([]))
    assert full.spec is empty.spec
    assert {name: len(frame) for name, frame in full.frames.items()} == {
        "points": 2,
        "readings": 2,
        "references": 2,
        "slider": 1,
        "study": len(STUDY),
    }
    assert {name: len(frame) for name, frame in empty.frames.items()} == {
        "points": 0,
        "readings": 0,
        "references": 1,
        "slider": 0,
        "study": 0,
    }


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_chance_is_drawn_where_the_number_of_classes_puts_it(classes: int) -> None:
    references = drawing(points([0]), chance=1 / classes).frames["references"]
    assert references.set_index("label")["accuracy"]["Chance"] == 1 / classes


def test_a_gap_wider_than_a_tenth_is_not_drawn_across() -> None:
    drawn = drawing(points([0, 0.1, 0.2, 0.5, 0.6, 0.9])).frames["points"]
    segments = drawn.groupby("segment")["ratio"].apply(list).tolist()
    assert segments == [[0, 0.1, 0.2], [0.5, 0.6], [0.9]]
    assert drawn["alone"].tolist() == [False] * 5 + [True]


def test_two_curves_are_never_joined() -> None:
    both = pd.concat([points([0, 0.1]), points([0, 0.1], recovery=RECOVERY_LABELS[1])])
    drawn = drawing(both).frames["points"]
    assert drawn.groupby("segment")["recovery"].nunique().tolist() == [1, 1]


@pytest.mark.parametrize(("number", "has_dots"), [(20, True), (96, False)])
def test_only_sparse_curves_have_dots(number: int, has_dots: bool) -> None:
    curve = points([step / 100 for step in range(number)])
    assert set(drawing(curve).frames["points"]["dot"]) == {has_dots}


def test_every_curve_is_read_at_every_ratio() -> None:
    both = pd.concat([points([0, 0.1]), points([0.1, 0.2], GRANULARITIES[1], RECOVERY_LABELS[1])])
    readings = drawing(both).frames["readings"]
    assert readings["ratio"].tolist() == [0, 0.1, 0.2]
    assert readings[CURVES[0]].tolist() == [
        "80.0% ± 1.0 of 10,000",
        "75.0% ± 1.0 of 10,000",
        "not measured",
    ]
    assert readings[CURVES[3]][0] == "not measured"
    assert set(readings[CURVES[1]]) == {"not measured"}


SVG = "{http://www.w3.org/2000/svg}"


def drawn_svg(shown: Drawing) -> ElementTree.Element:
    """As Vega draws it."""
    return ElementTree.fromstring(
        vl_convert.vegalite_to_svg(shown.for_print(COLORS, PRINTED_WIDTH))
    )


def texts(svg: ElementTree.Element) -> set[str]:
    return {element.text or "" for element in svg.iter(f"{SVG}text")}


def pixels_across(mark: ElementTree.Element) -> float:
    return float(mark.get("transform", "").removeprefix("translate(").split(",")[0])


@pytest.mark.parametrize("x", charts.X_AXES)
def test_the_spec_draws_its_frames(x: str) -> None:
    drawn = texts(drawn_svg(drawing(points([0, 0.1, 0.2]), x, 0.8, HERE, study=True)))
    assert {charts.X_AXES[x], "Baseline", "Chance", *GRANULARITIES, *RECOVERY_LABELS} <= drawn


@pytest.mark.parametrize("x", charts.X_AXES)
def test_the_study_is_drawn_on_the_ratio_axis_alone(x: str) -> None:
    def marks(study: bool) -> int:
        svg = drawn_svg(drawing(points([0, 0.1]), x, 0.8, HERE, study))
        return len(list(svg.iter(f"{SVG}path"))) + len(list(svg.iter(f"{SVG}line")))

    assert marks(study=True) - marks(study=False) == (2 * len(STUDY) if x == "ratio" else 0)


@pytest.mark.parametrize("x", charts.X_AXES)
@pytest.mark.parametrize(
    ("current", "expected"),
    [
        ({}, []),
        ({GRANULARITIES[0]: 0.3, GRANULARITIES[1]: 0.3}, [("gray", 0.3)]),
        ({GRANULARITIES[0]: 0.3, GRANULARITIES[1]: 0.5}, [(COLORS[0], 0.3), (COLORS[1], 0.5)]),
        ({GRANULARITIES[0]: 0.0, GRANULARITIES[1]: 1.0}, [(COLORS[0], 0.0), (COLORS[1], 1.0)]),
    ],
)
def test_the_slider_is_marked_where_it_puts_each_method(
    x: str, current: dict[str, float], expected: list[tuple[str, float]]
) -> None:
    svg = drawn_svg(drawing(points([0, 0.1]), x, current=current))
    rules = [each for each in svg.iter(f"{SVG}line") if each.get("stroke-dasharray") == "2,3"]
    found = [(each.get("stroke"), pixels_across(each) / PRINTED_WIDTH) for each in rules]
    assert [color for color, _ in found] == [color for color, _ in expected]
    assert [at for _, at in found] == pytest.approx([at for _, at in expected], abs=0.002)


def test_a_printed_chart_has_the_themes_colours_on_white() -> None:
    printed = drawing(points([0, 0.1]), baseline=0.8).for_print(COLORS)
    svg = vl_convert.vegalite_to_svg(printed)
    assert COLORS[0] in svg
    assert 'fill="white"' in svg


STAGES = {"conv1": ["conv1"], "layer1": ["layer1.0.conv1", "layer1.0.downsample.0"], "fc": ["fc"]}
LAYERS = [layer for stage in STAGES.values() for layer in stage]


def sparsities() -> pd.DataFrame:
    rows = [
        (method, layer, ratio / 20, ratio / 40)
        for method in GRANULARITIES
        for layer in LAYERS
        for ratio in range(20)
    ]
    cells = pd.DataFrame(rows, columns=["method", "layer", "ratio", "sparsity"])
    return cells.assign(weights=100, weights_left=50)


def outlines(svg: ElementTree.Element, color: str) -> int:
    return sum(each.get("stroke") == color for each in svg.iter(f"{SVG}path"))


def test_the_overview_marks_the_columns_at_the_slider_and_the_layer_selected() -> None:
    current = dict(zip(GRANULARITIES, (0.06, 1.0), strict=True))
    shown = charts.layers_overview(sparsities(), STAGES, current, "fc", "picked")
    (fine, channels) = shown.frames["slider"]["x"]
    assert fine == pytest.approx(0.05)
    assert channels == pytest.approx(SECOND + 0.95)  # the last column there is
    svg = drawn_svg(shown)
    names = {layer.replace("downsample.0", "down") for layer in LAYERS}
    assert {"Weights", *GRANULARITIES, *names} <= texts(svg)
    assert outlines(svg, "white") == 2
    assert outlines(svg, "#E69F00") == 1


def test_another_layer_and_another_ratio_are_only_other_data() -> None:
    first = charts.layers_overview(
        sparsities(), STAGES, dict.fromkeys(GRANULARITIES, 0.1), "fc", "p"
    )
    second = charts.layers_overview(
        sparsities(), STAGES, dict.fromkeys(GRANULARITIES, 0.7), "conv1", "p"
    )
    assert first.spec is second.spec
    changed = {n for n in first.frames if not first.frames[n].equals(second.frames[n])}
    assert changed == {"slider", "selected"}


def test_sensitivity_has_a_cell_for_each_unit_and_ratio() -> None:
    rows = [(layer, ratio / 10, ratio / 20 - 0.01) for layer in LAYERS for ratio in range(1, 10)]
    losses = pd.DataFrame(rows, columns=["unit", "ratio", "lost"])
    losses = losses.assign(accuracy=0.5, low=0.4, high=0.6, seen=2000)
    labels = {layer: f"row {number}" for number, layer in enumerate(LAYERS)}
    for selected, marked in (("fc", 1), ("", 0)):
        svg = drawn_svg(charts.sensitivity_heatmap(losses, labels, selected))
        assert outlines(svg, "#0072B2") == marked
        assert {"Points of accuracy lost", *labels.values()} <= texts(svg)


def test_a_layer_close_up_is_drawn() -> None:
    bins = pd.DataFrame({"low": [-1.0, 0.0], "high": [0.0, 1.0], "kept": [5, 0], "cut": [1, 7]})
    bins = bins.assign(method=GRANULARITIES[0])
    with_threshold = drawn_svg(charts.weight_distribution(bins, 0.5))
    without = drawn_svg(charts.weight_distribution(bins, None))
    assert "Value of the weight" in texts(without)
    lines = [len(list(svg.iter(f"{SVG}line"))) for svg in (with_threshold, without)]
    assert lines[0] == lines[1] + 2

    cells = pd.DataFrame(
        {
            **{"top": [0, 0, 3], "bottom": [3, 3, 6], "left": [0, 2, 0], "right": [2, 4, 2]},
            **{"norm": [0.5, 0.0, 0.0], "kept": [0.5, 0.0, 0.0]},
            "state": ["stays", "zero", "removed"],
        }
    )
    assert {"Input channels, pruned ones last", "Kernel norm, % of the largest"} <= texts(
        drawn_svg(charts.kernel_map(cells, 0.5))
    )

    order = pd.DataFrame({"rank": [0, 1], "channel": [4, 2], "score": [0.5, 1.5]})
    order = order.assign(stays=[False, True], method=GRANULARITIES[1])
    assert COLORS[1].lower() in {
        (each.get("fill") or "").lower()
        for each in drawn_svg(charts.channel_order(order)).iter(f"{SVG}path")
    }


def of_two(largest: int) -> pd.DataFrame:
    """The points of a large and a small baseline, with a gap in the large one's curve."""
    large = points([0, 0.1, 0.5, 0.6, 0.9]).assign(baseline="large")
    small = points([0, 0.1]).assign(baseline="small")
    both = pd.concat([large, small, small.assign(recovery=RECOVERY_LABELS[1])])
    sizes = [largest, 800, 500, 400, 200, 300, 270, 300, 270]
    return both.assign(nonzero=sizes, macs=[10 * size for size in sizes])


@pytest.mark.parametrize("size", charts.SIZES)
@pytest.mark.parametrize("largest", [1000, 1001])
def test_two_baselines_are_drawn_by_size(size: str, largest: int) -> None:
    shown = charts.versus(of_two(largest), ["large", "small"], size)
    assert len(shown.frames["unpruned"]) == 2
    lines = shown.frames["points"].groupby("segment")["ratio"].apply(list).tolist()
    assert lines == [[0, 0.1], [0.5, 0.6], [0.9], [0, 0.1], [0, 0.1]]
    svg = drawn_svg(shown)
    title = charts.SIZES[size] + (" (logarithmic)" if largest > 5 * 200 else "")
    assert {title, "large", "small", *RECOVERY_LABELS} <= texts(svg)
    assert not set(GRANULARITIES) & texts(svg)


def test_two_baselines_without_any_result_are_an_empty_chart() -> None:
    nothing = of_two(900)[:0]
    assert "Parameters left" in texts(drawn_svg(charts.versus(nothing, ["a", "b"], "nonzero")))


@pytest.mark.parametrize("quantity", ["parameters", "macs"])
def test_the_bars_of_layers_stand_in_order_and_have_their_lengths(quantity: str) -> None:
    rows = [f"row {number}" for number in range(60)]
    numbers = range(1, 61)
    frame = pd.DataFrame({"layer": rows, "row": rows, "kind": "linear", "parameters": numbers})
    shown = charts.layer_bars(frame.assign(macs=[number**2 for number in numbers]), quantity)
    svg = drawn_svg(shown)
    assert set(rows) <= texts(svg)
    assert len(bars_of(svg)) == 60
    assert shown.frames["layers"]["share"].sum() == pytest.approx(1)


def bars_of(svg: ElementTree.Element) -> list[str]:
    """What a screen reader says of each bar."""
    paths = svg.iter(f"{SVG}path")
    return [
        path.get("aria-label", "") for path in paths if path.get("aria-roledescription") == "bar"
    ]


@pytest.mark.parametrize("number", [1000, 1001, 2048, 5000])
def test_many_channels_share_bars_of_one_state(number: int) -> None:
    stays = [rank % 1700 >= 333 for rank in range(number)]
    order = pd.DataFrame({"rank": range(number), "channel": range(number), "stays": stays})
    order = order.assign(method=GRANULARITIES[1], score=[float(rank) for rank in range(number)])
    bars = charts.channel_order(order).frames["channels"]
    assert len(bars) <= 1000 + 7
    assert len(bars) == number or number > 1000
    widths = bars["next"] - bars["rank"]
    assert widths.sum() == number
    assert (bars["rank"].iloc[1:].to_numpy() == bars["next"].iloc[:-1].to_numpy()).all()
    assert (widths * bars["score"]).sum() == pytest.approx(sum(range(number)))
    assert (widths * bars["stays"]).sum() == sum(stays)


def test_names_with_characters_that_xml_cannot_hold_can_be_printed() -> None:
    losses = pd.DataFrame({"unit": ["a\x00\x1b\ufffe"], "ratio": [0.5], "lost": [0.1]})
    losses = losses.assign(accuracy=0.8, low=0.7, high=0.9, correct=8, seen=10)
    shown = charts.sensitivity_heatmap(losses, {losses["unit"][0]: "b\x07\x85\uffff"}, "")
    svg = vl_convert.vegalite_to_svg(shown.for_print(COLORS))
    (label,) = [
        each.text for each in ElementTree.fromstring(svg).iter() if "b" in (each.text or "")
    ]
    assert label == "b\ufffd\x85\ufffd"


def test_a_training_is_drawn() -> None:
    curve = pd.DataFrame({"epoch": [0.5, 1.0], "loss": [2.0, 1.0], "rate": [0.1, 0.0]})
    ends = pd.DataFrame({"epoch": [1], "accuracy": [0.5], "low": [0.4], "high": [0.6], "seen": [9]})
    assert "Training loss" in texts(drawn_svg(charts.loss_curve(curve, 1)))
    assert "Accuracy after each epoch, with intervals" in texts(
        drawn_svg(charts.validation_curve(ends, 1))
    )
