"""Showing a drawing on a page."""

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.charts import Drawing
from core.ui.app.presenting import TYPE_SCALE, is_presenting
from core.ui.parts.record import Figure, note


def show_chart(
    drawing: Drawing,
    key: str | None,
    alt: str,
    slot: DeltaGenerator | None = None,
    on_select: Callable[[], None] | None = None,
    selection: str | None = None,
    presented_height: int | None = None,
) -> None:
    """Draw a chart in `slot`, or at the current position of the page; `alt` is its alt text.

    Pass no key for a chart that is drawn several times in one run. `on_select` is called when the
    drawing's parameter named `selection` selects a mark. `presented_height`, in pixels, is for a
    chart that has the page to itself while presenting. The report has the last drawing of each alt
    text.
    """
    content: dict[str, Any] = drawing.for_page(TYPE_SCALE if is_presenting() else 1)
    if is_presenting() and presented_height is not None:
        content["height"] = presented_height
    (slot or st).vega_lite_chart(
        spec=content,
        width="stretch",
        key=key,
        alt=alt,
        on_select=on_select or "ignore",
        selection_mode=selection if on_select else None,
    )
    note(alt, Figure(drawing, alt))
