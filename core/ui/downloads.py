"""What is on the screen as files: numbers as CSV, charts as SVG and PNG."""

import io
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from core.charts import AnyChart, for_print

PIXELS_PER_POINT = 3  # sharp on paper
MIME_TYPES = {"CSV": "text/csv", "SVG": "image/svg+xml", "PNG": "image/png"}


def offer_downloads(
    chart: Callable[[], AnyChart], points: pd.DataFrame, name: str, key: str = ""
) -> None:
    """Three buttons in a row; the chart and the file are made when one is pressed.

    `key` tells the buttons from those of the same name that were drawn before in the same run.
    """
    contents = {
        "CSV": partial(_as_csv, points),
        "SVG": partial(_as_image, chart, "svg"),
        "PNG": partial(_as_image, chart, "png"),
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


def _as_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def _as_image(chart: Callable[[], AnyChart], kind: str) -> bytes:
    colors = list(st.get_option("theme.light.chartCategoricalColors"))
    printed = for_print(chart(), colors)
    if kind == "svg":
        text = io.StringIO()
        printed.save(text, format="svg")
        return text.getvalue().encode()
    content = io.BytesIO()
    printed.save(content, format="png", scale_factor=PIXELS_PER_POINT)
    return content.getvalue()
