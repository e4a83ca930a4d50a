"""The map of all mixes of channels removed and weights zeroed."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import Drawing, named, of_an_accuracy, top_legend

STEP = 0.1  # difference of the ratios between cells
HEIGHT = 430  # pixels
CONTENDER_COLOURS = ("#009E73", "#0072B2", "#D55E00")
CONTENDER_SHAPES = ("triangle-up", "circle", "square")


def mixes(
    cells: pd.DataFrame,
    contours: pd.DataFrame,
    path: pd.DataFrame,
    current: tuple[float, float],
    picking: str | None,
) -> Drawing:
    """Draw the accuracy of each pair of ratios, and lines of equal size.

    Columns of `cells`: ratio (of channels), rest (of the weights left), accuracy, low, high (0 to
    1), correct, seen, left, macs_left (fractions of the baseline). Columns of `contours`: ratio,
    rest, name (of the line); of `path`, the best mixes: ratio, rest, left. The cell nearest to
    `current` is marked. `picking` is the name of the selection, by ratio and rest, of the clicked
    cell.
    """
    names = contours.sort_values("ratio").drop_duplicates("name", keep="last")
    nearest = [min(max(round(each / STEP), 0), 8) * STEP for each in current]
    return Drawing(
        _spec(picking),
        {
            "cells": _with_sides(cells),
            "contours": contours,
            "names": names,
            "path": path,
            "current": _with_sides(pd.DataFrame({"ratio": [nearest[0]], "rest": [nearest[1]]})),
        },
    )


def _with_sides(cells: pd.DataFrame) -> pd.DataFrame:
    half = STEP / 2
    return cells.assign(
        x=cells["ratio"] - half,
        x2=cells["ratio"] + half,
        y=cells["rest"] - half,
        y2=cells["rest"] + half,
    )


@lru_cache(maxsize=4)
def _spec(picking: str | None) -> dict[str, Any]:
    axis = alt.Axis(format=".1f", values=[step / 10 for step in range(9)], grid=False)
    scale = alt.Scale(domain=[-STEP / 2, 0.8 + STEP / 2], nice=False, zero=False)
    across = alt.X("x:Q", title="Channels removed", scale=scale, axis=axis)
    up = alt.Y("y:Q", title="Weights left that are zeroed", scale=scale, axis=axis)
    line_x = alt.X("ratio:Q", scale=scale, title="Channels removed")
    line_y = alt.Y("rest:Q", scale=scale, title="Weights left that are zeroed")
    cells = (
        named("cells")
        .mark_rect()
        .encode(
            x=across,
            x2="x2:Q",
            y=up,
            y2="y2:Q",
            color=alt.Color(
                "accuracy:Q",
                scale=alt.Scale(scheme="viridis", domain=[0, 1]),
                legend=alt.Legend(
                    title="Accuracy", format=".0%", orient="bottom", gradientLength=200
                ),
            ),
            tooltip=[
                alt.Tooltip("ratio:Q", title="Channels removed", format=".1f"),
                alt.Tooltip("rest:Q", title="Weights left that are zeroed", format=".1f"),
                *of_an_accuracy(),
                alt.Tooltip("left:Q", title="Parameters left", format=".1%"),
                alt.Tooltip("macs_left:Q", title="MACs left", format=".1%"),
            ],
        )
    )
    if picking is not None:
        cells = cells.add_params(
            alt.selection_point(
                name=picking, fields=["ratio", "rest"], on="click", clear=False, empty=False
            )
        )
    lines = named("contours").encode(x=line_x, y=line_y, detail="name:N", order="ratio:Q")
    below = lines.mark_line(color="black", strokeWidth=3, opacity=0.35)  # seen on any colour
    above = lines.mark_line(color="white", strokeWidth=1.5, strokeDash=[5, 3])
    names = (
        named("names")
        # On a phone there is room for the number alone.
        .transform_calculate(label="width < 400 ? replace(datum.name, ' left', '') : datum.name")
        .mark_text(
            color="white",
            align="right",
            baseline="bottom",
            dx=-2,
            dy=-3,
            stroke="black",
            strokeWidth=0.3,
        )
        .encode(x=line_x, y=line_y, text="label:N")
    )
    path = named("path").encode(x=line_x, y=line_y)
    best = [
        path.mark_line(color="white", strokeWidth=2, opacity=0.9).encode(
            order=alt.Order("left:Q", sort="descending")
        ),
        path.mark_point(filled=True, size=70, color="white", stroke="black", opacity=1),
    ]
    current = (
        named("current")
        .mark_rect(fill=None, strokeWidth=2.5, stroke="#E69F00")
        .encode(x="x:Q", x2="x2:Q", y="y:Q", y2="y2:Q")
    )
    spec: dict[str, Any] = (
        alt.layer(cells, below, above, *best, names, current).properties(height=HEIGHT).to_dict()
    )
    return spec


def same_size(judged: pd.DataFrame, contenders: tuple[str, ...]) -> Drawing:
    """Draw the accuracy of the best mixes, beside pure prunings of the same sizes.

    Columns of `judged`: contender (of `contenders`), ratio, rest, left, accuracy, low, high (0 to
    1), correct, seen.
    """
    return Drawing(_same_size_spec(contenders), {"judged": judged})


@lru_cache(maxsize=4)
def _same_size_spec(contenders: tuple[str, ...]) -> dict[str, Any]:
    judged = named("judged").encode(
        x=alt.X(
            "left:Q",
            title="Parameters left",
            scale=alt.Scale(type="log", reverse=True, nice=False),
            axis=alt.Axis(format=".0%", values=[0.5, 0.3, 0.2, 0.1, 0.05, 0.03], grid=False),
        ),
        color=alt.Color(
            "contender:N",
            scale=alt.Scale(domain=contenders, range=CONTENDER_COLOURS),
            legend=top_legend(),
        ),
    )
    accuracy = alt.Y(
        "accuracy:Q",
        title="Accuracy on the other test images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    tooltip = [
        alt.Tooltip("contender:N", title="Pruned"),
        alt.Tooltip("left:Q", title="Parameters left", format=".1%"),
        alt.Tooltip("ratio:Q", title="Ratio", format=".2f"),
        alt.Tooltip("rest:Q", title="Of the weights left", format=".2f"),
        *of_an_accuracy(),
    ]
    shape = alt.Shape(
        "contender:N",
        scale=alt.Scale(domain=contenders, range=CONTENDER_SHAPES),
        legend=top_legend(),
    )
    spec: dict[str, Any] = (
        alt.layer(
            judged.mark_rule(strokeWidth=3, opacity=0.45).encode(y="low:Q", y2="high:Q"),
            judged.mark_line(strokeWidth=2).encode(y=accuracy),
            judged.mark_point(filled=True, size=80, opacity=1).encode(
                y=accuracy, shape=shape, tooltip=tooltip
            ),
        )
        .properties(height=320)
        .to_dict()
    )
    return spec
