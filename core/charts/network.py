"""Bars of what each layer of a network has."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import Drawing, named

ROW_HEIGHT = 15  # pixels
MARGIN = 70  # pixels, for axis and heading
QUANTITIES = {"parameters": "Parameters", "macs": "MACs for one image"}


def layer_bars(layers: pd.DataFrame, quantity: str) -> Drawing:
    """Draw a bar for each layer, in network order.

    `quantity` is one of QUANTITIES. Columns of `layers`: layer, row (a unique label), kind,
    parameters, macs.
    """
    shares = layers[quantity] / (layers[quantity].sum() or 1)
    return Drawing(_spec(tuple(layers["row"]), quantity), {"layers": layers.assign(share=shares)})


@lru_cache(maxsize=16)
def _spec(rows: tuple[str, ...], quantity: str) -> dict[str, Any]:
    base = named("layers").encode(
        x=alt.X(
            f"{quantity}:Q",
            title=QUANTITIES[quantity],
            axis=alt.Axis(format="~s", tickCount=4),
        ),
        y=alt.Y(
            "row:N",
            title=None,
            scale=alt.Scale(domain=list(rows)),
            axis=alt.Axis(
                labelLimit=160,
                labelFontSize=11,  # fixed also while presenting, because of the rows' height
                labelOverlap=False,
                labelFlush=False,
                ticks=False,
                domain=False,
            ),
        ),
        tooltip=[
            alt.Tooltip("layer:N", title="Layer"),
            alt.Tooltip("kind:N", title="Kind"),
            alt.Tooltip("parameters:Q", title="Parameters", format=","),
            alt.Tooltip("macs:Q", title="MACs for one image", format=","),
            alt.Tooltip("share:Q", title=f"Share of the {QUANTITIES[quantity]}", format=".1%"),
        ],
    )
    spec: dict[str, Any] = (
        base.mark_bar(height=ROW_HEIGHT - 5)
        .properties(height=ROW_HEIGHT * len(rows) + MARGIN)
        .to_dict()
    )
    return spec
