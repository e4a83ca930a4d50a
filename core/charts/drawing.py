"""What every chart is made of, and how it gets onto a page or onto paper."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from core.specs.vocabulary import GRANULARITIES

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart

SHAPES = ("circle", "square")


@dataclass(frozen=True, eq=False)
class Drawing:
    """A chart in two parts: a specification in Vega-Lite, and the frames that it draws, by name.

    The specification stays as it is while a control moves, and so do most frames: a page then moves
    the few marks that differ, instead of drawing everything anew.
    """

    spec: Mapping[str, Any]  # shared by all drawings of its kind, so never to be changed
    frames: Mapping[str, pd.DataFrame]

    def for_page(self, type_scale: float = 1) -> dict[str, Any]:
        """What `st.vega_lite_chart` takes; colours and fonts are the theme's.

        `type_scale` times the theme's size is the size of the type.
        """
        content = {**self.spec, "datasets": dict(self.frames)}
        if type_scale == 1:
            return content
        sizes = {"labelFontSize": 12 * type_scale, "titleFontSize": 14 * type_scale}
        config = {"axis": sizes, "legend": sizes, "text": {"fontSize": 12 * type_scale}}
        return {**content, "config": {**self.spec.get("config", {}), **config}}

    def for_print(self, colors: Sequence[str], width: int = 720) -> dict[str, Any]:
        """Vega-Lite on white, with the theme's `colors`, as it looks without a page around it."""
        config = {
            **self.spec.get("config", {}),
            "background": "white",
            "font": "sans-serif",
            "padding": 12,
            "range": {"category": list(colors)},
            "axis": {"labelFontSize": 12, "titleFontSize": 12},
            "legend": {"labelFontSize": 12},
            "view": {"stroke": None},
        }
        datasets = {
            name: json.loads(frame.to_json(orient="records")) for name, frame in self.frames.items()
        }
        return {**self.spec, "width": width, "config": config, "datasets": datasets}


def named(frame: str) -> alt.Chart:
    """A chart of one of a drawing's frames."""
    return alt.Chart(alt.NamedData(frame))


def method_color() -> alt.Color:
    """The method's colour, from the theme, in the order of GRANULARITIES."""
    return alt.Color("method:N", scale=alt.Scale(domain=GRANULARITIES))


def method_shape() -> alt.Shape:
    """What tells the methods apart where colours do not."""
    return alt.Shape("method:N", scale=alt.Scale(domain=GRANULARITIES, range=SHAPES))


def top_legend(**options: Any) -> alt.Legend:
    """In one row, or on a phone one below the other."""
    columns = alt.ExprRef("width < 400 ? 1 : 0")
    return alt.Legend(orient="top", title=None, columns=columns, **options)
