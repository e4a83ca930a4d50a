"""Charts of what pruning saves: time against work, widths, sizes, and the Pareto frontier."""

from collections.abc import Sequence
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
from core.specs.vocabulary import ALL_RECOVERIES

RECOVERY_LABELS = tuple(each.label for each in ALL_RECOVERIES.values())
RECOVERY_SHAPES = ("circle", "square", "triangle-up", "cross", "diamond")
METHOD_LABELS = ("Fine-grained", "Channels", "Hybrid")
HEIGHT = 340  # pixels
UNPRUNED = "unpruned"
ROOM_FOR_NUMBERS = 1.15  # of the longest bar, behind which a number stands


def time_against_work(points: pd.DataFrame, pays: float | None = None) -> Drawing:
    """Draw the time saved against the MACs removed, beside what the MACs promise.

    Columns: method (of GRANULARITIES), ratio, macs_removed (0 to 1, in theory), time_saved, low,
    high (of the time of the unpruned network; negative where more is needed), seconds,
    reference_seconds, current (whether it is at the slider's ratio). `pays` is the place on the
    axis from which sparse kernels are faster than dense ones.
    """
    lowest = min(0.0, float(points["low"].min())) if len(points) else 0.0
    bottom = -0.1 if lowest > -0.1 else max(-1.0, lowest)
    promise = pd.DataFrame({"macs_removed": [0.0, 1.0], "time_saved": [0.0, 1.0]})
    milliseconds = points.assign(
        ms=1e3 * points["seconds"], reference_ms=1e3 * points["reference_seconds"]
    )
    return Drawing(
        _time_spec(bottom),
        {
            "points": milliseconds,
            "promise": promise,
            "pays": pd.DataFrame({"macs_removed": [] if pays is None else [pays]}, dtype=float),
        },
    )


@lru_cache(maxsize=16)
def _time_spec(bottom: float) -> dict[str, Any]:
    across = alt.X(
        "macs_removed:Q",
        title="MACs removed, in theory",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6, grid=False),
    )
    up = alt.Y(
        "time_saved:Q",
        title="Time saved, measured",
        scale=alt.Scale(domain=[bottom, 1], nice=False),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    color = method_color().legend(top_legend(symbolOpacity=1))
    points = named("points").encode(x=across, color=color)
    pays = named("pays").encode(x=across)
    spec: dict[str, Any] = (
        alt.layer(
            pays.mark_rule(strokeDash=[2, 3], color="gray"),
            pays.mark_text(text="pays from here", align="right", dx=-5, y=8, color="gray"),
            named("promise")
            .mark_line(color="gray", strokeDash=[6, 4], strokeWidth=1)
            .encode(x=across, y=up),
            points.mark_line(strokeWidth=2, opacity=0.7, clip=True).encode(
                y=up, order=alt.Order("ratio:Q")
            ),
            points.mark_rule(strokeWidth=3, opacity=0.45, clip=True).encode(y="low:Q", y2="high:Q"),
            points.mark_point(filled=True, opacity=1, clip=True).encode(
                y=up,
                shape=method_shape().legend(top_legend(symbolOpacity=1)),
                size=alt.condition("datum.current", alt.value(190), alt.value(55)),
                tooltip=[
                    alt.Tooltip("method:N", title="Method"),
                    alt.Tooltip("ratio:Q", title="Ratio", format=".2f"),
                    alt.Tooltip("macs_removed:Q", title="MACs removed", format=".1%"),
                    alt.Tooltip("time_saved:Q", title="Time saved", format=".1%"),
                    alt.Tooltip("low:Q", title="Middle half from", format=".1%"),
                    alt.Tooltip("high:Q", title="to", format=".1%"),
                    alt.Tooltip("ms:Q", title="Milliseconds", format=".2f"),
                    alt.Tooltip("reference_ms:Q", title="unpruned", format=".2f"),
                ],
            ),
        )
        .properties(height=HEIGHT)
        .to_dict()
    )
    return spec


def widths(points: pd.DataFrame, multiples: Sequence[str]) -> Drawing:
    """Draw how many times as fast channel pruning is at each ratio, a line for each multiple.

    Columns: multiple (one of `multiples`, what the widths are multiples of), ratio, speedup, low,
    high.
    """
    return Drawing(_widths_spec(tuple(multiples)), {"points": points})


@lru_cache(maxsize=8)
def _widths_spec(multiples: tuple[str, ...]) -> dict[str, Any]:
    across = alt.X(
        "ratio:Q",
        title="Pruning ratio of channels",
        scale=alt.Scale(zero=False, padding=12),
        axis=alt.Axis(format=".2~f", tickCount=11, grid=False),
    )
    color = alt.Color(
        "multiple:N", scale=alt.Scale(domain=multiples), legend=top_legend(symbolOpacity=1)
    )
    points = named("points").encode(x=across, color=color)
    up = alt.Y(
        "speedup:Q",
        title="Times as fast as unpruned",
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(format=".3~g", tickCount=6),
    )
    spec: dict[str, Any] = (
        alt.layer(
            points.mark_line(strokeWidth=1.5, opacity=0.8).encode(y=up),
            points.mark_rule(strokeWidth=2.5, opacity=0.4).encode(y="low:Q", y2="high:Q"),
            points.mark_point(filled=True, size=40, opacity=1).encode(
                y=up,
                tooltip=[
                    alt.Tooltip("multiple:N", title="Widths"),
                    alt.Tooltip("ratio:Q", title="Ratio", format=".2f"),
                    alt.Tooltip("speedup:Q", title="Times as fast", format=".2f"),
                    alt.Tooltip("low:Q", title="Middle half from", format=".2f"),
                    alt.Tooltip("high:Q", title="to", format=".2f"),
                ],
            ),
        )
        .properties(height=260)
        .to_dict()
    )
    return spec


def pareto(
    points: pd.DataFrame, quantity: str, title: str, unit: str, picking: str | None = None
) -> Drawing:
    """Draw accuracy against a cost on a logarithmic axis, with the frontier.

    Columns of `points`: number (which one), method (of METHOD_LABELS), recovery (its label), name
    (of the setting), ratio, `quantity`, accuracy, low, high (0 to 1), correct, seen, on_frontier,
    current (whether the sidebar stands at it); baselines have the method UNPRUNED, and own says
    whether it is the one that is pruned. `unit` is a
    format of d3 with its unit. `picking` is the name of the selection, by number, of the clicked
    point.
    """
    steps = points[points["on_frontier"]].sort_values(quantity)
    is_unpruned = points["method"] == UNPRUNED
    return Drawing(
        _pareto_spec(quantity, title, unit, picking),
        {
            "points": points[~is_unpruned],
            "frontier": steps,
            "baselines": points[is_unpruned],
        },
    )


@lru_cache(maxsize=16)
def _pareto_spec(quantity: str, title: str, unit: str, picking: str | None) -> dict[str, Any]:
    across = alt.X(
        f"{quantity}:Q",
        title=title,
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(format=unit, tickCount=6, grid=False),
    )
    up = alt.Y(
        "accuracy:Q",
        title="Accuracy on the test images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    color = alt.Color(
        "method:N",
        scale=alt.Scale(domain=METHOD_LABELS),
        legend=_in_two_columns(symbolType="circle"),
    )
    shape = alt.Shape(
        "recovery:N",
        scale=alt.Scale(domain=RECOVERY_LABELS, range=RECOVERY_SHAPES),
        legend=_in_two_columns(symbolFillColor="gray", symbolStrokeColor="gray"),
    )
    marks = (
        named("points")
        .mark_point(filled=True)
        .encode(
            x=across,
            y=up,
            color=color,
            shape=shape,
            size=alt.condition("datum.current", alt.value(260), alt.value(38)),
            opacity=alt.condition(
                "datum.on_frontier || datum.current", alt.value(1), alt.value(0.35)
            ),
            tooltip=[
                alt.Tooltip("name:N", title="Setting"),
                alt.Tooltip("recovery:N", title="After pruning"),
                alt.Tooltip(f"{quantity}:Q", title=title, format=unit),
                *of_an_accuracy(),
            ],
        )
    )
    if picking is not None:
        marks = marks.add_params(
            alt.selection_point(
                name=picking, fields=["number"], on="click", clear=False, empty=False, nearest=True
            )
        )
    baselines = named("baselines").encode(x=across, y=up)
    spec: dict[str, Any] = (
        alt.layer(
            named("frontier")
            .mark_line(interpolate="step-after", color="gray", strokeWidth=1.5, opacity=0.8)
            .encode(x=across, y=up),
            marks,
            baselines.mark_point(
                shape="diamond", filled=False, color="gray", size=110, strokeWidth=2
            ).encode(
                tooltip=[
                    alt.Tooltip("name:N", title="Baseline"),
                    alt.Tooltip(f"{quantity}:Q", title=title, format=unit),
                    *of_an_accuracy(),
                ]
            ),
            baselines.mark_text(
                dy=alt.expr("datum.own ? -12 : 18"), align="right", limit=150
            ).encode(text="name:N"),
        )
        .properties(height=430)
        .to_dict()
    )
    # Altair knows no type for this setting of Vega-Lite: one legend below the other.
    layout = {"top": {"direction": "vertical", "anchor": "start"}}
    spec["config"] = {**spec.get("config", {}), "legend": {"layout": layout}}
    return spec


def _in_two_columns(**options: Any) -> alt.Legend:
    """Return a legend above the chart, in one row, or in two columns on a phone."""
    columns = alt.ExprRef("width < 400 ? 2 : 0")
    return alt.Legend(orient="top", title=None, columns=columns, symbolOpacity=1, **options)


def sizes(stored: pd.DataFrame, storages: Sequence[str], names: Sequence[str]) -> Drawing:
    """Draw what a network weighs in each storage, a bar for each network.

    Columns: storage (of `storages`, in their order), network (of `names`, unpruned first), bytes.
    """
    megabytes = stored.assign(megabytes=stored["bytes"] / 1e6)
    largest = ROOM_FOR_NUMBERS * float(megabytes["megabytes"].max())
    return Drawing(_sizes_spec(tuple(storages), tuple(names), largest), {"stored": megabytes})


@lru_cache(maxsize=16)
def _sizes_spec(
    storages: tuple[str, ...], names: tuple[str, ...], largest: float
) -> dict[str, Any]:
    # The first colours of the theme are those of the methods.
    domain = (*names[1:], names[0])
    base = named("stored").encode(
        y=alt.Y(
            "storage:N",
            title=None,
            scale=alt.Scale(domain=storages, paddingInner=0.3),
            axis=alt.Axis(ticks=False, domain=False, labelLimit=150, labelOverlap=False),
        ),
        yOffset=alt.YOffset("network:N", scale=alt.Scale(domain=names)),
    )
    spec: dict[str, Any] = (
        alt.layer(
            base.mark_bar().encode(
                x=alt.X(
                    "megabytes:Q",
                    title="File, in MB",
                    axis=alt.Axis(tickCount=6),
                    scale=alt.Scale(domain=[0, largest], nice=False),
                ),
                color=alt.Color(
                    "network:N",
                    scale=alt.Scale(domain=domain),
                    legend=top_legend(symbolOpacity=1, symbolType="square"),
                ),
                tooltip=[
                    alt.Tooltip("network:N", title="Network"),
                    alt.Tooltip("storage:N", title="Stored as"),
                    alt.Tooltip("bytes:Q", title="Bytes", format=","),
                ],
            ),
            base.mark_text(align="left", dx=4).encode(
                x="megabytes:Q", text=alt.Text("megabytes:Q", format=".2f")
            ),
        )
        .properties(height=26 * len(storages) * len(names) + 60)
        .to_dict()
    )
    return spec
