"""The common form of all charts, for pages and for print."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from core.specs.vocabulary import GRANULARITIES

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart

SHAPES = ("circle", "square")
NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"


@dataclass(frozen=True, eq=False)
class Drawing:
    """A Vega-Lite specification, and the data frames that it draws, by name.

    The specification and most frames don't change when a control moves. So the page only updates
    the marks that differ, instead of redrawing the chart.
    """

    spec: Mapping[str, Any]  # cached and shared by several drawings: never modify it
    frames: Mapping[str, pd.DataFrame]

    def for_page(self, type_scale: float = 1) -> dict[str, Any]:
        """Return the specification for `st.vega_lite_chart`, with the theme's colours and fonts.

        `type_scale` multiplies the font sizes.
        """
        content = {**self.spec, "datasets": dict(self.frames)}
        if type_scale == 1:
            return content
        sizes = {"labelFontSize": 12 * type_scale, "titleFontSize": 14 * type_scale}
        legend = {**self.spec.get("config", {}).get("legend", {}), **sizes}
        config = {"axis": sizes, "legend": legend, "text": {"fontSize": 12 * type_scale}}
        return {**content, "config": {**self.spec.get("config", {}), **config}}

    def for_print(self, colors: Sequence[str], width: int = 720) -> dict[str, Any]:
        """Return a standalone specification on white, with the theme's `colors`.

        Characters of names that XML cannot hold are replaced: the renderer would end the process.
        """
        config = {
            **self.spec.get("config", {}),
            "background": "white",
            "font": "sans-serif",
            "padding": 12,
            "range": {"category": list(colors)},
            "axis": {"labelFontSize": 12, "titleFontSize": 12},
            "legend": {**self.spec.get("config", {}).get("legend", {}), "labelFontSize": 12},
            "view": {"stroke": None},
        }
        datasets = {
            name: json.loads(frame.to_json(orient="records")) for name, frame in self.frames.items()
        }
        content = {**self.spec, "width": width, "config": config, "datasets": datasets}
        return {key: _without_control_characters(value) for key, value in content.items()}


def _without_control_characters(value: Any) -> Any:
    if isinstance(value, str):
        return NOT_IN_XML.sub(REPLACEMENT, value)
    if isinstance(value, Mapping):
        return {key: _without_control_characters(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_control_characters(each) for each in value]
    return value


def named(frame: str) -> alt.Chart:
    """Return a chart of the drawing's frame with this name."""
    return alt.Chart(alt.NamedData(frame))


def method_color() -> alt.Color:
    """Return the encoding of the method as a theme colour, in the order of GRANULARITIES."""
    return alt.Color("method:N", scale=alt.Scale(domain=GRANULARITIES))


def method_shape() -> alt.Shape:
    """Return the encoding of the method as a shape, for readers who cannot see colours."""
    return alt.Shape("method:N", scale=alt.Scale(domain=GRANULARITIES, range=SHAPES))


def top_legend(**options: Any) -> alt.Legend:
    """Return a legend above the chart, in one row, or in one column on a phone."""
    columns = alt.ExprRef("width < 400 ? 1 : 0")
    return alt.Legend(orient="top", title=None, columns=columns, **options)


def of_a_result() -> list[alt.Tooltip]:
    """Return the lines of a tooltip that say what was measured, and on how many images."""
    return [
        alt.Tooltip("recovery:N", title="After pruning"),
        alt.Tooltip("ratio:Q", title="Ratio", format=".2f"),
        *of_an_accuracy(),
    ]


def of_an_accuracy() -> list[alt.Tooltip]:
    """Return the lines of a tooltip for an accuracy, its interval and the images behind it."""
    return [
        alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
        alt.Tooltip("low:Q", title="Interval from", format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("correct:Q", title="Images right", format=","),
        alt.Tooltip("seen:Q", title="of", format=","),
    ]
