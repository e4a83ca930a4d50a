"""Charts of one layer: its weights, kernels and channels."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import Drawing, method_color, named

MOST_BARS = 1000  # so that with any states of the channels there are less than 2,000
PRUNED_COLOR = "#9AA0A6"  # visible in the light and dark theme


def weight_distribution(bins: pd.DataFrame, threshold: float | None) -> Drawing:
    """Draw a histogram of kept and pruned weights by value.

    Columns of `bins`: method, low, high (the bin's edges), kept, cut (numbers of weights).
    `threshold` is the magnitude up to which weights are pruned, None if there is no such limit.
    """
    thresholds = [] if threshold is None else [-threshold, threshold]
    return Drawing(
        _distribution_spec(),
        {
            "bins": bins.assign(all=bins["kept"] + bins["cut"]),
            "threshold": pd.DataFrame({"value": thresholds}),
        },
    )


@lru_cache(maxsize=1)
def _distribution_spec() -> dict[str, Any]:
    bars = named("bins").encode(
        x=alt.X("low:Q", title="Value of the weight", axis=alt.Axis(tickCount=7, grid=False)),
        x2="high:Q",
        tooltip=[
            alt.Tooltip("low:Q", title="From", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("kept:Q", title="Weights kept", format=","),
            alt.Tooltip("cut:Q", title="Weights pruned", format=","),
        ],
    )
    counts = alt.Y("kept:Q", title="Weights", axis=alt.Axis(format="~s", tickCount=4))
    layers = [
        bars.mark_rect().encode(y=counts, y2=alt.datum(0), color=method_color().legend(None)),
        bars.mark_rect(color=PRUNED_COLOR).encode(y="kept:Q", y2="all:Q"),
        named("threshold").mark_rule(strokeDash=[4, 3], color="gray").encode(x="value:Q"),
    ]
    spec: dict[str, Any] = alt.layer(*layers).properties(height=220).to_dict()
    return spec


def kernel_map(cells: pd.DataFrame, largest_norm: float) -> Drawing:
    """Draw kernel norms by output and input channel of a layer, pruned channels last.

    Columns of `cells`: top, bottom (output channels from, to), left, right (input channels), norm
    (mean L2 norm of the kernels), kept (fraction of the weights kept, 0 to 1), state ("stays",
    "zero" or "removed"). `largest_norm` is the end of the scale, so that charts can share it.
    """
    return Drawing(_map_spec(), {"cells": cells.assign(part=cells["norm"] / (largest_norm or 1.0))})


@lru_cache(maxsize=1)
def _map_spec() -> dict[str, Any]:
    whole = alt.Axis(format="d", tickMinStep=1, tickCount=6, grid=False)
    edges = named("cells").encode(
        x=alt.X(
            "left:Q",
            title="Input channels, pruned ones last",
            scale=alt.Scale(nice=False),
            axis=whole,
        ),
        x2="right:Q",
        y=alt.Y(
            "top:Q",
            title="Output channels, pruned ones last",
            scale=alt.Scale(nice=False, reverse=True),
            axis=whole,
        ),
        y2="bottom:Q",
        tooltip=[
            alt.Tooltip("top:Q", title="Outputs from"),
            alt.Tooltip("bottom:Q", title="to"),
            alt.Tooltip("left:Q", title="Inputs from"),
            alt.Tooltip("right:Q", title="to"),
            alt.Tooltip("state:N", title="State"),
            alt.Tooltip("kept:Q", title="Weights kept", format=".0%"),
            alt.Tooltip("norm:Q", title="Mean norm of a kernel", format=".3f"),
        ],
    )
    stays = (
        edges.transform_filter(alt.datum.state == "stays")
        .mark_rect(aria=False)  # ARIA labels for all cells would double the drawing time
        .encode(
            color=alt.Color(
                "part:Q",
                scale=alt.Scale(scheme="cividis", domain=[0, 1]),
                legend=alt.Legend(
                    title="Kernel norm, % of the largest",
                    titleLimit=0,
                    orient="bottom",
                    values=[0, 0.5, 1],
                    format="%",
                    gradientLength=150,
                ),
            )
        )
    )
    zero = edges.transform_filter(alt.datum.state == "zero").mark_rect(
        color=PRUNED_COLOR, aria=False
    )
    removed = edges.transform_filter(alt.datum.state == "removed").mark_rect(
        aria=False, fill=PRUNED_COLOR, fillOpacity=0.12
    )
    spec: dict[str, Any] = alt.layer(stays, zero, removed).properties(height=400).to_dict()
    return spec


def channel_order(channels: pd.DataFrame) -> Drawing:
    """Draw the scores of a group's channels, from the least to the most important.

    Columns of `channels`: method, rank (0 is least important), channel (its index in the baseline),
    score (relative to the group's mean), stays (bool). Of more than MOST_BARS channels, consecutive
    ones share a bar of their mean score.
    """
    bars = channels.assign(next=channels["rank"] + 1)
    if len(channels) > MOST_BARS:
        width = -(-len(channels) // MOST_BARS)
        # A bar ends where another state begins.
        states = (channels["stays"] != channels["stays"].shift()).cumsum()
        number = channels.groupby(states).cumcount() // width
        bars = (
            bars.groupby([states.rename("run"), number.rename("bar")], sort=False)
            .agg(
                method=("method", "first"),
                rank=("rank", "min"),
                next=("next", "max"),
                channel=("channel", "first"),
                score=("score", "mean"),
                stays=("stays", "first"),
            )
            .reset_index(drop=True)
        )
    what = bars["stays"].map({True: "kept", False: "pruned"})
    return Drawing(_order_spec(), {"channels": bars.assign(what=what)})


@lru_cache(maxsize=1)
def _order_spec() -> dict[str, Any]:
    bars = (
        named("channels")
        .mark_rect(aria=False)
        .encode(
            x=alt.X(
                "rank:Q",
                title="Channels, the least important first",
                axis=alt.Axis(grid=False, tickCount=6),
                scale=alt.Scale(nice=False),
            ),
            x2="next:Q",
            y=alt.Y("score:Q", title="Score, mean 1", axis=alt.Axis(tickCount=4)),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("channel:Q", title="Channel"),
                alt.Tooltip("rank:Q", title="Rank"),
                alt.Tooltip("score:Q", title="Score", format=".2f"),
                alt.Tooltip("what:N", title="State"),
            ],
        )
    )
    layers = [
        bars.transform_filter(alt.datum.stays).encode(color=method_color().legend(None)),
        bars.transform_filter("!datum.stays").mark_rect(color=PRUNED_COLOR, aria=False),
    ]
    spec: dict[str, Any] = alt.layer(*layers).properties(height=220).to_dict()
    return spec
