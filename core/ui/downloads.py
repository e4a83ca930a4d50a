"""What is on the screen as files: numbers as CSV, charts as SVG and PNG."""

import io
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from core.charts import AnyChart, for_print

PIXELS_PER_POINT = 3  # sharp on paper


def offer_downloads(
    chart: Callable[[], AnyChart], points: pd.DataFrame, name: str, key: str
) -> None:
    """Three buttons; a chart or file is made when its button is pressed."""
    for kind, mime, content in (
        ("CSV", "text/csv", partial(_as_csv, points)),
        ("SVG", "image/svg+xml", partial(_as_image, chart, "svg")),
        ("PNG", "image/png", partial(_as_image, chart, "png")),
    ):
        st.download_button(
            f"{name} as {kind}",
            content,
            f"{name}.{kind.lower()}",
            mime,
            key=f"{key}_{kind}",
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
