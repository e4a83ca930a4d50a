"""Heatmaps with one row per layer: sparsity reached, and accuracy lost."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import AnyChart, Drawing, named
from core.formatting import shortener
from core.specs.vocabulary import GRANULARITIES

SPARSITY_SCALE = alt.Scale(scheme="viridis", domain=[0, 1])
# Losses are purple, gains green. Small losses matter most and are frequent, so the scale is
# stretched around 0.
LOSS_SCALE_STOPS = [-5, 0, 5, 25, 80]
LOSS_SCALE = alt.Scale(
    type="symlog",
    domain=LOSS_SCALE_STOPS,
    range=["#7FBF7B", "#F7F7F7", "#C2A5CF", "#9970AB", "#40004B"],
    clamp=True,
)
STEP = 0.05  # difference of the ratio between columns
ROW_HEIGHT = 15  # pixels
MARGIN = 130  # pixels, for axis and legend
# Where the bars and the second heatmap start on the common x axis, in widths of a heatmap.
WEIGHTS, SECOND = 1.02, 1.36
WEIGHTS_WIDTH = 0.24
STARTS = dict(zip(GRANULARITIES, (0.0, SECOND), strict=True))
END = SECOND + 1
HEADINGS = pd.DataFrame({**STARTS, "Weights": WEIGHTS}.items(), columns=["name", "x"])


def layers_overview(
    sparsities: pd.DataFrame,
    stages: Mapping[str, Sequence[str]],
    current: Mapping[str, float],
    selected: str,
    picking: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Drawing:
    """Draw heatmaps of the sparsity that both methods reach, with each layer's weights in between.

    Columns of `sparsities`: method, layer, ratio (steps of 0.05 up to 0.95), sparsity (0 to 1),
    weights, weights_left. A layer may be a block of layers. `stages` maps each stage to its layers,
    in network order, and `labels` a layer to its row's label, by default its short name. The column
    nearest to each method's `current` ratio and the row of the layer `selected` are marked.
    `picking` is the name of the selection, by layer, of the clicked row.
    """
    names = [name for stage in stages.values() for name in stage]
    if labels is None:
        short = shortener(names)
        labels = {name: short(name) for name in names}
    rows = tuple(tuple(labels[name] for name in stage) for stage in stages.values())
    starts = sparsities["method"].map(STARTS)
    cells = sparsities.assign(
        row=sparsities["layer"].map(labels),
        x=starts + sparsities["ratio"],
        x2=starts + sparsities["ratio"] + STEP,
    )
    weights = cells.drop_duplicates("layer")[["layer", "row", "weights"]]
    widths = WEIGHTS_WIDTH * weights["weights"] / weights["weights"].max()
    nearest = {method: STEP * min(round(ratio / STEP), 19) for method, ratio in current.items()}
    columns = [STARTS[method] + ratio for method, ratio in nearest.items()]
    return Drawing(
        _overview_spec(rows, picking),
        {
            "cells": cells,
            "weights": weights.assign(x=WEIGHTS, x2=WEIGHTS + widths),
            "slider": pd.DataFrame({"x": columns, "x2": [column + STEP for column in columns]}),
            "headings": HEADINGS,
            "selected": pd.DataFrame(
                {"layer": [selected], "row": [labels[selected]], "x": [0.0], "x2": [END]}
            ),
        },
    )


@lru_cache(maxsize=16)
def _overview_spec(stages: tuple[tuple[str, ...], ...], picking: str | None) -> dict[str, Any]:
    # Separate stages by empty rows; each row name needs a different number of blanks.
    rows = [row for number, stage in enumerate(stages) for row in (*stage, " " * (number + 1))][:-1]
    across = alt.X("x:Q", scale=alt.Scale(domain=[0, END], nice=False), axis=_ratio_axis())
    down = alt.Y("row:N", scale=alt.Scale(domain=rows), title=None, axis=_row_axis())
    cells = (
        named("cells")
        .mark_rect()
        .encode(
            x=across,
            x2="x2:Q",
            y=down,
            color=alt.Color(
                "sparsity:Q",
                scale=SPARSITY_SCALE,
                legend=alt.Legend(
                    title="Sparsity reached", format="%", orient="bottom", gradientLength=200
                ),
            ),
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("method:N", title="Method"),
                alt.Tooltip("ratio:Q", title="Pruning ratio", format=".2f"),
                alt.Tooltip("sparsity:Q", title="Sparsity reached", format=".1%"),
                alt.Tooltip("weights_left:Q", title="Weights left", format=","),
                alt.Tooltip("weights:Q", title="of", format=","),
            ],
        )
    )
    if picking is not None:
        cells = cells.add_params(
            alt.selection_point(
                name=picking, fields=["layer"], on="click", clear=False, empty=False
            )
        )
    weights = (
        named("weights")
        .mark_bar(color="gray", opacity=0.6, height=ROW_HEIGHT - 6)
        .encode(
            x=across,
            x2="x2:Q",
            y=down,
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("weights:Q", title="Weights", format=","),
            ],
        )
    )
    slider = (
        named("slider")
        .mark_rect(fill=None, strokeWidth=1.5, stroke="white")
        .encode(x=across, x2="x2:Q")
    )
    selected = (
        named("selected")
        .mark_rect(fill=None, strokeWidth=1.5, stroke="#E69F00")
        .encode(x=across, x2="x2:Q", y=down)
    )
    headings = (
        named("headings")
        .mark_text(
            align="left",
            baseline="bottom",
            fontWeight="bold",
            color="gray",
            # On a narrow screen there is no room for this heading.
            text=alt.expr("width < 400 && datum.name == 'Weights' ? '' : datum.name"),
        )
        .encode(x=across, y=alt.value(-6))
    )
    layers: list[AnyChart] = [cells, weights, slider, selected, headings]
    spec: dict[str, Any] = (
        alt.layer(*layers)
        .properties(height=ROW_HEIGHT * len(rows) + MARGIN, padding={"top": 24})
        .to_dict()
    )
    return spec


def _ratio_axis() -> alt.Axis:
    """Return an x axis with ratios below each heatmap, though both share the axis."""
    ratios = [0.0, 0.25, 0.5, 0.75]
    return alt.Axis(
        title=None,
        values=[start + ratio + STEP / 2 for start in STARTS.values() for ratio in ratios],
        labelExpr=f"format(datum.value - (datum.value > {SECOND} ? {SECOND} : 0) - {STEP / 2}, "
        "'.2f')",
        grid=False,
        domain=False,
        labelFlush=False,
    )


def _row_axis() -> alt.Axis:
    """Return a y axis with every row's label."""
    return alt.Axis(
        labelLimit=160,
        labelFontSize=11,  # fixed also while presenting, because rows are only 15 pixels high
        labelFlush=False,
        labelExpr="trim(datum.label)",
        labelOverlap=False,
        ticks=False,
        domain=False,
    )


def sensitivity_heatmap(losses: pd.DataFrame, labels: Mapping[str, str], selected: str) -> Drawing:
    """Draw the accuracy lost when one layer, or one group of channels, is pruned alone.

    Columns of `losses`: unit, ratio (steps of 0.1), lost (accuracy, up to 1; negative for a gain),
    accuracy, low, high (its interval), seen. `labels` maps each unit to its row's label, from the
    first to the last; the row of the unit `selected` is marked.
    """
    return Drawing(
        _sensitivity_spec(tuple(labels.values())),
        {
            "cells": losses.assign(points=100 * losses["lost"], row=losses["unit"].map(labels)),
            "selected": pd.DataFrame({"row": [labels[selected]] if selected in labels else []}),
        },
    )


@lru_cache(maxsize=16)
def _sensitivity_spec(rows: tuple[str, ...]) -> dict[str, Any]:
    down = alt.Y("row:N", scale=alt.Scale(domain=list(rows)), title=None, axis=_row_axis())
    cells = (
        named("cells")
        .mark_rect()
        .encode(
            x=alt.X(
                "ratio:O",
                title="Ratio in this layer (all others untouched)",
                axis=alt.Axis(format=".1f", labelAngle=0, ticks=False, domain=False),
            ),
            y=down,
            color=alt.Color(
                "points:Q",
                scale=LOSS_SCALE,
                legend=alt.Legend(
                    title="Points of accuracy lost",
                    orient="bottom",
                    gradientLength=200,
                    values=LOSS_SCALE_STOPS,
                ),
            ),
            tooltip=[
                alt.Tooltip("unit:N", title="Pruned alone"),
                alt.Tooltip("ratio:Q", title="Ratio", format=".1f"),
                alt.Tooltip("points:Q", title="Points lost", format=".1f"),
                alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
                alt.Tooltip("low:Q", title="Interval from", format=".1%"),
                alt.Tooltip("high:Q", title="to", format=".1%"),
                alt.Tooltip("seen:Q", title="Images", format=","),
            ],
        )
    )
    selected = named("selected").mark_rect(fill=None, strokeWidth=1.5, stroke="#0072B2")
    spec: dict[str, Any] = (
        alt.layer(cells, selected.encode(y=down))
        .properties(height=ROW_HEIGHT * len(rows) + MARGIN)
        .to_dict()
    )
    return spec
