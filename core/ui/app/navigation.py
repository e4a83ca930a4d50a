"""The menu of pages, and what to do when Streamlit runs a page without app.py."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.errors import InputError
from core.ui.parts.plain import warn


def navigation() -> StreamlitPage:
    """Draw the menu and return the selected page."""
    return st.navigation(
        [
            st.Page(
                "pages/compare.py", title="Compare", icon=":material/compare_arrows:", default=True
            ),
            st.Page("pages/layers.py", title="Layers", icon=":material/layers:"),
            st.Page("pages/predictions.py", title="Predictions", icon=":material/flip:"),
            st.Page("pages/recovery.py", title="Recovery", icon=":material/healing:"),
            st.Page("pages/efficiency.py", title="Efficiency", icon=":material/speed:"),
            st.Page("pages/choices.py", title="Choices", icon=":material/alt_route:"),
            st.Page("pages/baseline.py", title="Baseline", icon=":material/model_training:"),
            st.Page("pages/tour.py", title="Tour", icon=":material/tour:"),
            st.Page("pages/methods.py", title="Methods", icon=":material/menu_book:"),
        ],
        position="top",
    )


def run_page(page: StreamlitPage) -> bool:
    """Run a page, and return whether it ran to its end.

    An InputError raised anywhere in it is shown as a warning.
    """
    try:
        page.run()
    except InputError as error:
        warn(error)
        return False
    return True


def restart_app() -> None:
    """Run app.py, which draws the sidebar, and then the same page.

    If the first request to a new server is for a page, Streamlit runs that page without app.py,
    because the folder is called pages. It stops doing so once a script calls st.navigation.
    """
    navigation()
    st.rerun()
