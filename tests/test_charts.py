"""What the accuracy chart is given, and that Vega draws it, away from any page."""

from xml.etree import ElementTree

import pandas as pd
import pytest
import vl_convert

from core import charts
from core.charts import CURVES, METHODS, RECOVERIES, STUDY, Drawing, accuracy_against

COLORS = ["#0072B2", "#D55E00"]


def points(
    ratios: list[float], method: str = METHODS[0], recovery: str = RECOVERIES[0]
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
    current: float | None = None,
    study: bool = False,
) -> Drawing:
    return accuracy_against(x, measured, baseline, current, study, picking="picked")


def test_only_data_differs_whatever_is_known() -> None:
    full = drawing(points([0, 0.1]), baseline=0.8, current=0.3, study=True)
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


def test_a_gap_wider_than_a_tenth_is_not_drawn_across() -> None:
    drawn = drawing(points([0, 0.1, 0.2, 0.5, 0.6, 0.9])).frames["points"]
    stretches = drawn.groupby("stretch")["ratio"].apply(list).tolist()
    assert stretches == [[0, 0.1, 0.2], [0.5, 0.6], [0.9]]
    assert drawn["alone"].tolist() == [False] * 5 + [True]


def test_two_curves_are_never_joined() -> None:
    both = pd.concat([points([0, 0.1]), points([0, 0.1], recovery=RECOVERIES[1])])
    drawn = drawing(both).frames["points"]
    assert drawn.groupby("stretch")["recovery"].nunique().tolist() == [1, 1]


@pytest.mark.parametrize(("number", "has_dots"), [(20, True), (96, False)])
def test_only_sparse_curves_have_dots(number: int, has_dots: bool) -> None:
    curve = points([step / 100 for step in range(number)])
    assert set(drawing(curve).frames["points"]["dot"]) == {has_dots}


def test_every_curve_is_read_at_every_ratio() -> None:
    both = pd.concat([points([0, 0.1]), points([0.1, 0.2], METHODS[1], RECOVERIES[1])])
    readings = drawing(both).frames["readings"]
    assert readings["ratio"].tolist() == [0, 0.1, 0.2]
    assert readings[CURVES[0]].tolist() == [
        "80.0 % ± 1.0 of 10,000",
        "75.0 % ± 1.0 of 10,000",
        "not measured",
    ]
    assert readings[CURVES[3]][0] == "not measured"
    assert set(readings[CURVES[1]]) == {"not measured"}


SVG = "{http://www.w3.org/2000/svg}"


def drawn_svg(shown: Drawing) -> ElementTree.Element:
    """As Vega draws it."""
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(shown.for_print(COLORS)))


def texts(svg: ElementTree.Element) -> set[str]:
    return {element.text or "" for element in svg.iter(f"{SVG}text")}


@pytest.mark.parametrize("x", charts.X_AXES)
def test_the_spec_draws_its_frames(x: str) -> None:
    drawn = texts(drawn_svg(drawing(points([0, 0.1, 0.2]), x, 0.8, 0.3, study=True)))
    assert {charts.X_AXES[x], "Baseline", "Chance", *METHODS, *RECOVERIES} <= drawn


def test_the_slider_and_the_study_are_drawn_on_the_ratio_axis_alone() -> None:
    def marks(x: str, current: float | None, study: bool) -> int:
        svg = drawn_svg(drawing(points([0, 0.1]), x, 0.8, current, study))
        return len(list(svg.iter(f"{SVG}path"))) + len(list(svg.iter(f"{SVG}line")))

    without = marks("ratio", None, study=False)
    assert marks("ratio", 0.3, study=False) == without + 1
    assert marks("ratio", None, study=True) == without + 2 * len(STUDY)
    assert marks("macs_removed", 0.3, study=True) == marks("macs_removed", None, study=False)


def test_a_printed_chart_has_the_themes_colours_on_white() -> None:
    printed = drawing(points([0, 0.1]), baseline=0.8).for_print(COLORS)
    svg = vl_convert.vegalite_to_svg(printed)
    assert COLORS[0] in svg
    assert 'fill="white"' in svg


LAYERS = [f"layer{number}.conv1" for number in range(1, 4)]


def sparsities() -> pd.DataFrame:
    rows = [(layer, ratio, ratio / 2) for layer in LAYERS for ratio in (0.0, 0.05, 0.1)]
    cells = pd.DataFrame(rows, columns=["layer", "ratio", "sparsity"])
    return cells.assign(weights=100, weights_left=50)


def test_the_heatmap_marks_the_column_nearest_to_the_slider() -> None:
    shown = charts.sparsity_heatmap(sparsities(), LAYERS, 0.06, "Channels")
    assert shown.frames["slider"]["ratio"].tolist() == [0.05]
    svg = drawn_svg(shown)
    assert {"Channels", *LAYERS} <= texts(svg)
    white = [each for each in svg.iter(f"{SVG}path") if each.get("stroke") == "white"]
    assert len(white) == 1


def test_a_training_is_drawn() -> None:
    curve = pd.DataFrame({"epoch": [0.5, 1.0], "loss": [2.0, 1.0], "rate": [0.1, 0.0]})
    ends = pd.DataFrame({"epoch": [1], "accuracy": [0.5], "low": [0.4], "high": [0.6], "seen": [9]})
    assert "Training loss" in texts(drawn_svg(charts.loss_curve(curve, 1)))
    assert "Validation accuracy" in texts(drawn_svg(charts.validation_curve(ends, 1)))
