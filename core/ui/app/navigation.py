"""The pages, and how a page that was started alone finds the rest of the app."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.errors import InputError


def navigation() -> StreamlitPage:
    """Draw the menu; return the page that is asked for."""
    return st.navigation(
        [
            st.Page(
                "pages/compare.py", title="Compare", icon=":material/compare_arrows:", default=True
            ),
            st.Page("pages/layers.py", title="Layers", icon=":material/layers:"),
            st.Page("pages/baseline.py", title="Baseline", icon=":material/model_training:"),
            st.Page("pages/tour.py", title="Tour", icon=":material/tour:"),
            st.Page("pages/methods.py", title="Methods", icon=":material/menu_book:"),
        ],
        position="top",
    )


def run_page(page: StreamlitPage) -> None:
    """Run a page; what a person can put right is a sentence on it, wherever it was met."""
    try:
        page.run()
    except InputError as error:
        st.warning(str(error), icon=":material/warning:")


def restart_app() -> None:
    """Start over with app.py, which draws the sidebar, on the same page.

    Because the folder is called pages, Streamlit runs a page alone if its URL is the first that a
    new server is asked for. It no longer does once any script has called st.navigation.
    """
    navigation()
    st.rerun()
