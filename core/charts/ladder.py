"""Charts of recovery: the ladder, and the live accuracy of a training."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import (
    Drawing,
    method_color,
    method_shape,
    named,
    of_an_accuracy,
    top_legend,
)

PLACES = {"as pruned": 7, "merged": 18, "BN recalibrated": 50, "reconstructed": 140}
"""Where the rungs without training stand on the axis of images trained on."""
SHORT = ("pruned", "merged", "BN", "reconstr.")
BOUNDARY = 300  # images; left of it, nothing is trained
DASHES = ([1, 0], [5, 3], [1.5, 2.5])
HEIGHT = 380  # pixels


def ladder(
    rungs: pd.DataFrame,
    ways: Mapping[str, str],
    most: int,
    baseline: float | None,
    chance: float,
) -> Drawing:
    """Draw the accuracy against the images trained on, a line for each method and way.

    Columns of `rungs`: method (of GRANULARITIES), rung (its label), way (one of `ways`, or empty),
    images (trained on), accuracy, low, high (0 to 1), correct, seen, took (text). `ways` maps each
    way to the label of the rung that its line begins at, or to "". `most` is the largest number of
    images on the axis.
    """
    references = [("Chance", chance)]
    if baseline is not None:
        references.append(("Unpruned", baseline))
    placed = rungs.assign(x=[_place(row) for row in rungs.to_dict("records")])
    return Drawing(
        _ladder_spec(tuple(ways), most),
        {
            "rungs": placed,
            "lines": _lines(placed, ways),
            "references": pd.DataFrame(references, columns=["label", "accuracy"]),
            "boundary": pd.DataFrame({"x": [BOUNDARY]}),
        },
    )


def _lines(placed: pd.DataFrame, ways: Mapping[str, str]) -> pd.DataFrame:
    """Return the rungs of each way that was trained, with the one that it begins at."""
    found = [placed[placed["way"] != ""]]
    for way, start in ways.items():
        trained = placed.loc[placed["way"] == way, "method"]
        begins = (placed["rung"] == start) & placed["method"].isin(trained)
        found.append(placed[begins].assign(way=way))
    return pd.concat(found, ignore_index=True)


def _place(row: dict[Any, Any]) -> int:
    return int(row["images"]) or PLACES[row["rung"]]


@lru_cache(maxsize=8)
def _ladder_spec(ways: tuple[str, ...], most: int) -> dict[str, Any]:
    marks = [500, 2000, 10_000, 50_000, 200_000, 1_000_000]
    values = [*PLACES.values(), *(each for each in marks if each <= most)]
    words = " : ".join(
        f"datum.value == {place} ? '{word}'"
        for place, word in zip(PLACES.values(), SHORT, strict=True)
    )
    across = alt.X(
        "x:Q",
        title="Images trained on",
        scale=alt.Scale(type="log", domain=[4.5, 1.4 * most], nice=False),
        axis=alt.Axis(
            values=values,
            labelExpr=f"{words} : format(datum.value, ',')",
            grid=False,
            # On a phone there is room for all of them only if they are turned.
            labelOverlap=False,
            labelAngle=alt.ExprRef("width < 400 ? -50 : 0"),
            labelAlign=alt.ExprRef("width < 400 ? 'right' : 'center'"),
        ),
    )
    up = alt.Y(
        "accuracy:Q",
        title="Accuracy on the test images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    color = method_color().legend(top_legend(symbolOpacity=1))
    lines = (
        named("lines")
        .mark_line(strokeWidth=2)
        .encode(
            x=across,
            y=up,
            color=color,
            strokeDash=alt.StrokeDash(
                "way:N",
                scale=alt.Scale(domain=ways, range=DASHES),
                legend=top_legend(symbolType="stroke", symbolSize=250, symbolStrokeWidth=2),
            ),
        )
    )
    rungs = named("rungs").encode(x=across, color=color)
    intervals = rungs.mark_rule(strokeWidth=3, opacity=0.45).encode(y="low:Q", y2="high:Q")
    points = rungs.mark_point(filled=True, size=90, opacity=1).encode(
        y=up,
        shape=method_shape().legend(top_legend(symbolOpacity=1)),
        tooltip=[
            alt.Tooltip("method:N", title="Method"),
            alt.Tooltip("rung:N", title="After pruning"),
            alt.Tooltip("way:N", title="Trained"),
            alt.Tooltip("images:Q", title="Images trained on", format=","),
            alt.Tooltip("took:N", title="Took"),
            *of_an_accuracy(),
        ],
    )
    references = named("references").encode(y="accuracy:Q")
    labels = references.mark_text(
        align="right", x=alt.expr("width - 4"), dy=-3, baseline="bottom", color="gray"
    ).encode(text="label:N")
    boundary = named("boundary").mark_rule(color="gray", strokeDash=[2, 3]).encode(x="x:Q")
    spec: dict[str, Any] = (
        alt.layer(
            references.mark_rule(strokeDash=[6, 4], color="gray"),
            labels,
            boundary,
            lines,
            intervals,
            points,
        )
        .properties(height=HEIGHT)
        .to_dict()
    )
    return spec


def held_out_curve(looks: pd.DataFrame, total: int) -> Drawing:
    """Draw the accuracy on held-out training images. Columns: images, accuracy, low, high, seen."""
    return Drawing(_held_out_spec(total), {"looks": looks})


@lru_cache(maxsize=16)
def _held_out_spec(total: int) -> dict[str, Any]:
    looks = named("looks").encode(
        x=alt.X(
            "images:Q",
            title="Images trained on so far",
            scale=alt.Scale(domain=[0, total]),
            axis=alt.Axis(format=",", tickCount=6, grid=False),
        )
    )
    accuracy = alt.Y(
        "accuracy:Q",
        title="Accuracy on held-out training images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    spec: dict[str, Any] = (
        alt.layer(
            looks.mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q"),
            looks.mark_line(strokeWidth=2).encode(y=accuracy),
            looks.mark_point(filled=True, size=60, opacity=1).encode(
                y=accuracy,
                tooltip=[
                    alt.Tooltip("images:Q", title="Images trained on", format=","),
                    alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
                    alt.Tooltip("low:Q", title="Interval from", format=".1%"),
                    alt.Tooltip("high:Q", title="to", format=".1%"),
                    alt.Tooltip("seen:Q", title="Held-out images", format=","),
                ],
            ),
        )
        .properties(height=220)
        .to_dict()
    )
    return spec
