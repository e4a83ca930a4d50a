"""The views of the page Choices, as tabs."""

import streamlit as st

from core.ui.bench.workbench import Workbench
from core.ui.choices.criteria import show_criteria
from core.ui.choices.mixes import show_mixes

VIEWS = ("Criteria", "Hybrid")


def show_choices(bench: Workbench) -> None:
    """Draw the tabs; only the open one is computed."""
    criteria, hybrid = st.tabs(VIEWS, key="choice", on_change="rerun", bind="query-params")
    if criteria.open:
        with criteria:
            show_criteria(bench)
    if hybrid.open:
        with hybrid:
            show_mixes(bench)
