"""Views of a page as tabs."""

from collections.abc import Callable, Mapping

import streamlit as st

from core.ui.parts.record import Heading, note


def show_tabs(key: str, views: Mapping[str, Callable[[], None]]) -> None:
    """Draw the tabs, by name; only the open one is computed."""
    tabs = st.tabs(list(views), key=key, on_change="rerun", bind="query-params")
    for tab, (name, show) in zip(tabs, views.items(), strict=True):
        if tab.open:
            note(key, Heading(name, is_tab=True))
            with tab:
                show()
