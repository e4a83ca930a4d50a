"""How a drawing gets onto a page."""

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.charts import Drawing
from core.ui.app.presenting import TYPE_SCALE, is_presenting


def show_chart(
    drawing: Drawing,
    key: str | None,
    alt: str,
    slot: DeltaGenerator | None = None,
    on_select: Callable[[], None] | None = None,
    selection: str | None = None,
) -> None:
    """Draw it in `slot`, or else where the page is; `alt` is for those who cannot see it.

    One that is drawn several times in a run has no key. `on_select` is called when a mark is picked
    by the named `selection` of the drawing.
    """
    content: dict[str, Any] = drawing.for_page(TYPE_SCALE if is_presenting() else 1)
    (slot or st).vega_lite_chart(
        spec=content,
        width="stretch",
        key=key,
        alt=alt,
        on_select=on_select or "ignore",
        selection_mode=selection if on_select else None,
    )
