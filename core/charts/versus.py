"""The chart of two baselines, pruned and unpruned, by the size that is left."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.accuracy import DASHES, RECOVERY_LABELS, with_segments
from core.charts.drawing import SHAPES, Drawing, named, of_a_result, top_legend
from core.specs.vocabulary import GRANULARITIES

SIZES = {"nonzero": "Parameters left", "macs": "MACs left"}
WIDE = 5  # a scale is logarithmic where its ends differ by more than this factor


def versus(points: pd.DataFrame, names: Sequence[str], size: str) -> Drawing:
    """Draw the accuracy of one method's networks of two baselines, against their size.

    `size` is one of SIZES, `names` are the two baselines. Columns of `points`: baseline, recovery
    (its label), ratio, nonzero, macs, accuracy, low, high (0 to 1), correct, seen. The unpruned
    networks, at ratio 0 as pruned, are drawn larger.
    """
    is_wide = bool(len(points)) and points[size].max() > WIDE * max(1, points[size].min())
    unpruned = points[(points["ratio"] == 0) & (points["recovery"] == RECOVERY_LABELS[0])]
    return Drawing(
        _spec(tuple(names), size, is_wide),
        {"points": with_segments(points, ["baseline", "recovery"]), "unpruned": unpruned},
    )


@lru_cache(maxsize=16)
def _spec(names: tuple[str, ...], size: str, is_wide: bool) -> dict[str, Any]:
    # The theme's third and fourth colours: the first two are the methods'.
    color = alt.Color("baseline:N", scale=alt.Scale(domain=[*GRANULARITIES, *names]))
    legend = top_legend(values=list(names), symbolOpacity=1)
    shape = alt.Shape("baseline:N", scale=alt.Scale(domain=list(names), range=SHAPES), legend=None)
    dash = alt.StrokeDash(
        "recovery:N",
        scale=alt.Scale(domain=RECOVERY_LABELS, range=DASHES),
        legend=top_legend(symbolType="stroke", symbolSize=250, symbolStrokeWidth=2),
    )
    across = alt.X(
        f"{size}:Q",
        title=SIZES[size] + (" (logarithmic)" if is_wide else ""),
        scale=alt.Scale(type="log" if is_wide else "linear", zero=not is_wide, nice=False),
        axis=alt.Axis(format="~s", tickCount=5, grid=False, labelOverlap="greedy"),
    )
    vertical = alt.Y(
        "accuracy:Q",
        title="Accuracy on the test images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=6),
    )
    tooltip = [
        alt.Tooltip("baseline:N", title="Baseline"),
        *of_a_result(),
        alt.Tooltip("nonzero:Q", title="Parameters left", format=","),
        alt.Tooltip("macs:Q", title="MACs left", format=","),
    ]
    points = named("points").encode(x=across, color=color.legend(legend))
    bars = points.mark_rule(opacity=0.35).encode(y="low:Q", y2="high:Q")
    lines = points.mark_line(strokeWidth=2).encode(
        y=vertical, strokeDash=dash, detail="segment:N", order=alt.Order("ratio:Q")
    )
    dots = points.mark_point(filled=True, size=35, opacity=1).encode(
        y=vertical, shape=shape, tooltip=tooltip
    )
    whole = (
        named("unpruned")
        .mark_point(filled=True, size=170, opacity=1, stroke="gray", strokeWidth=1.5)
        .encode(x=across, y=vertical, color=color.legend(legend), shape=shape, tooltip=tooltip)
    )
    spec: dict[str, Any] = alt.layer(bars, lines, dots, whole).properties(height=340).to_dict()
    return spec
