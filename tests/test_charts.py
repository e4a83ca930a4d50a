"""What the accuracy chart is given, and that Vega draws it, away from any page."""

import json
from xml.etree import ElementTree

import pandas as pd
import pytest
import vl_convert

from core import charts
from core.charts import CURVES, METHODS, RECOVERIES, accuracy_frame, accuracy_spec

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


def rows(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    return frame[frame["what"] == what].reset_index(drop=True)


def test_the_columns_are_the_same_whatever_is_known() -> None:
    full = accuracy_frame(points([0, 0.1]), 0.8, 0.3, study=True)
    empty = accuracy_frame(points([]), None, None, study=False)
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    assert set(full["what"]) == {"point", "reading", "reference", "slider", "study"}
    assert set(empty["what"]) == {"reference"}


def test_a_gap_wider_than_a_tenth_is_not_drawn_across() -> None:
    drawn = rows(accuracy_frame(points([0, 0.1, 0.2, 0.5, 0.6, 0.9]), None, None, False), "point")
    stretches = drawn.groupby("stretch")["ratio"].apply(list).tolist()
    assert stretches == [[0, 0.1, 0.2], [0.5, 0.6], [0.9]]
    assert drawn["alone"].tolist() == [False] * 5 + [True]


def test_two_curves_are_never_joined() -> None:
    both = pd.concat([points([0, 0.1]), points([0, 0.1], recovery=RECOVERIES[1])])
    drawn = rows(accuracy_frame(both, None, None, False), "point")
    assert drawn.groupby("stretch")["recovery"].nunique().tolist() == [1, 1]


@pytest.mark.parametrize(("number", "has_dots"), [(20, True), (96, False)])
def test_only_sparse_curves_have_dots(number: int, has_dots: bool) -> None:
    curve = points([step / 100 for step in range(number)])
    assert set(rows(accuracy_frame(curve, None, None, False), "point")["dot"]) == {has_dots}


def test_every_curve_is_read_at_every_ratio() -> None:
    both = pd.concat([points([0, 0.1]), points([0.1, 0.2], METHODS[1], RECOVERIES[1])])
    readings = rows(accuracy_frame(both, None, None, False), "reading")
    assert readings["ratio"].tolist() == [0, 0.1, 0.2]
    assert readings[CURVES[0]].tolist() == [
        "80.0 % ± 1.0 of 10,000",
        "75.0 % ± 1.0 of 10,000",
        "not measured",
    ]
    assert readings[CURVES[3]][0] == "not measured"
    assert set(readings[CURVES[1]]) == {"not measured"}


def drawn_svg(x: str, frame: pd.DataFrame) -> ElementTree.Element:
    """The page's spec with the page's data, as Vega draws it."""
    values = json.loads(frame.to_json(orient="records"))
    spec = accuracy_spec(x, "picked") | {"data": {"name": "source", "values": values}}
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(json.dumps(spec)))


def texts(svg: ElementTree.Element) -> set[str]:
    return {element.text or "" for element in svg.iter("{http://www.w3.org/2000/svg}text")}


@pytest.mark.parametrize("x", charts.X_AXES)
def test_the_spec_draws_its_frame(x: str) -> None:
    frame = accuracy_frame(points([0, 0.1, 0.2]), 0.8, 0.3, study=True)
    drawn = texts(drawn_svg(x, frame))
    assert {charts.X_AXES[x], "Baseline", "Chance", *METHODS, *RECOVERIES} <= drawn


def test_the_slider_and_the_study_are_drawn_on_the_ratio_axis_alone() -> None:
    def marks(x: str, current: float | None, study: bool) -> int:
        svg = drawn_svg(x, accuracy_frame(points([0, 0.1]), 0.8, current, study))
        return len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) + len(
            list(svg.iter("{http://www.w3.org/2000/svg}line"))
        )

    without = marks("ratio", None, study=False)
    assert marks("ratio", 0.3, study=False) == without + 1
    assert marks("ratio", None, study=True) == without + 2 * len(charts.STUDY)
    assert marks("macs_removed", 0.3, study=True) == marks("macs_removed", None, study=False)


def test_a_printed_chart_has_the_themes_colours_on_white() -> None:
    frame = accuracy_frame(points([0, 0.1]), 0.8, None, study=False)
    printed = charts.for_print(charts.accuracy_chart(frame, "ratio"), COLORS)
    svg = vl_convert.vegalite_to_svg(printed.to_json())
    assert COLORS[0] in svg
    assert 'fill="white"' in svg
