"""Download buttons: numbers as CSV, charts as SVG and PNG."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
import vl_convert

from core.charts import Drawing

PIXELS_PER_POINT = 3  # sharp on paper
MIME_TYPES = {"CSV": "text/csv", "SVG": "image/svg+xml", "PNG": "image/png"}


def offer_downloads(drawing: Drawing, points: pd.DataFrame, name: str, key: str = "") -> None:
    """Draw three download buttons in a row; each file is made when its button is pressed.

    `key` keeps widget keys unique if buttons with the same `name` were drawn earlier in this run.
    """
    contents: dict[str, Callable[[], str | bytes]] = {
        "CSV": partial(_as_csv, points),
        "SVG": partial(svg_of, drawing),
        "PNG": partial(_as_png, drawing),
    }
    for column, (kind, content) in zip(st.columns(3), contents.items(), strict=True):
        column.download_button(
            kind,
            content,
            f"{name}.{kind.lower()}",
            MIME_TYPES[kind],
            key=f"{name}_{kind}{key}",
            help=f"{name}.{kind.lower()}",
            on_click="ignore",
            width="stretch",
        )


def offer_table(name: str, frame: pd.DataFrame) -> None:
    """Draw a button that downloads a table as CSV."""
    st.download_button(
        f"{name}.csv",
        partial(_as_csv, frame),
        f"{name}.csv",
        MIME_TYPES["CSV"],
        icon=":material/download:",
        on_click="ignore",
    )


def offer_all(downloads: Mapping[str, tuple[Drawing, pd.DataFrame]]) -> None:
    """Draw a popover with the buttons of each chart; `downloads` maps file name to content."""
    with st.popover("Download", icon=":material/download:"):
        for name, (drawing, frame) in downloads.items():
            if len(downloads) > 1:
                st.caption(name)
            offer_downloads(drawing, frame, name)


def _as_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def svg_of(drawing: Drawing) -> str:
    svg: str = vl_convert.vegalite_to_svg(_printed(drawing))
    return svg


def _as_png(drawing: Drawing) -> bytes:
    png: bytes = vl_convert.vegalite_to_png(_printed(drawing), scale=PIXELS_PER_POINT)
    return png


def _printed(drawing: Drawing) -> dict[str, Any]:
    return drawing.for_print(st.get_option("theme.light.chartCategoricalColors"))
