"""What pruning leaves of each layer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import METHODS, Drawing, method_color, named

SPARSITY_SCALE = alt.Scale(scheme="viridis", domain=[0, 1])


def sparsity_heatmap(
    sparsities: pd.DataFrame, layers: Sequence[str], current: float, title: str
) -> Drawing:
    """Sparsity reached, layer by ratio, on the scale from 0 to 1.

    `sparsities`: layer, ratio (steps of 0.05), sparsity, weights, weights_left. `current` is the
    slider's ratio; the nearest column is marked.
    """
    nearest = min(sparsities["ratio"].unique(), key=lambda ratio: abs(ratio - current))
    return Drawing(
        _heatmap_spec(tuple(layers), title),
        {"cells": sparsities, "slider": pd.DataFrame({"ratio": [nearest]})},
    )


@lru_cache(maxsize=16)
def _heatmap_spec(layers: tuple[str, ...], title: str) -> dict[str, Any]:
    cells = (
        named("cells")
        .mark_rect()
        .encode(
            x=alt.X(
                "ratio:O",
                title="Ratio asked for",
                axis=alt.Axis(values=[0, 0.25, 0.5, 0.75], format=".2f", labelAngle=0),
            ),
            y=_layer_axis(layers),
            color=alt.Color(
                "sparsity:Q",
                scale=SPARSITY_SCALE,
                legend=alt.Legend(
                    title="Sparsity reached", format="%", orient="bottom", gradientLength=150
                ),
            ),
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("ratio:Q", title="Ratio asked for", format=".2f"),
                alt.Tooltip("sparsity:Q", title="Sparsity reached", format=".1%"),
                alt.Tooltip("weights_left:Q", title="Weights left", format=","),
                alt.Tooltip("weights:Q", title="of", format=","),
            ],
        )
    )
    marked = (
        named("slider").mark_rect(fill=None, stroke="white", strokeWidth=1.5).encode(x="ratio:O")
    )
    spec: dict[str, Any] = (
        (cells + marked).properties(height=_height(layers), title=title).to_dict()
    )
    return spec


def sparsity_bars(sparsities: pd.DataFrame, layers: Sequence[str], title: str) -> Drawing:
    """Sparsity of each layer at the slider's position, both methods side by side.

    `sparsities`: method, layer, sparsity, weights, weights_left.
    """
    return Drawing(_bars_spec(tuple(layers), title), {"bars": sparsities})


@lru_cache(maxsize=16)
def _bars_spec(layers: tuple[str, ...], title: str) -> dict[str, Any]:
    spec: dict[str, Any] = (
        named("bars")
        .mark_bar()
        .encode(
            x=alt.X(
                "sparsity:Q",
                title="Sparsity reached",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", values=[0, 0.5, 1]),
            ),
            y=_layer_axis(layers),
            yOffset=alt.YOffset("method:N", scale=alt.Scale(domain=METHODS)),
            color=method_color().legend(orient="bottom", title=None, columns=1),
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("method:N", title="Method"),
                alt.Tooltip("sparsity:Q", title="Sparsity reached", format=".1%"),
                alt.Tooltip("weights_left:Q", title="Weights left", format=","),
                alt.Tooltip("weights:Q", title="of", format=","),
            ],
        )
        .properties(height=_height(layers), title=title)
        .to_dict()
    )
    return spec


def _layer_axis(layers: Sequence[str]) -> alt.Y:
    """Network order, every name shown, the longest ones shortened."""
    short = alt.Axis(labelExpr="replace(datum.label, 'downsample.0', 'down')", labelOverlap=False)
    return alt.Y("layer:N", sort=list(layers), title=None, axis=short)


def _height(layers: Sequence[str]) -> int:
    """Pixels, with 18 a layer and the rest for title, axis and legend."""
    return 18 * len(layers) + 160
