"""The views of a layer below the overview, as tabs."""

import streamlit as st

from core.ui.bench.workbench import Workbench
from core.ui.layers.budget import show_budget
from core.ui.layers.by_hand import show_by_hand
from core.ui.layers.close_up import show_close_up
from core.ui.layers.reordering import show_reordering
from core.ui.layers.sensitivity import show_sensitivity

VIEWS = ("Sensitivity", "Close-up", "Reordering", "By hand", "Budget")


def show_layer_views(bench: Workbench, layer: str) -> None:
    """Draw the tabs; only the open one is computed."""
    tabs = st.tabs(VIEWS, key="view", on_change="rerun", bind="query-params")
    sensitivity, close_up, reordering, by_hand, budget = tabs
    if sensitivity.open:
        with sensitivity:
            show_sensitivity(bench, layer)
    if close_up.open:
        with close_up:
            show_close_up(bench, layer)
    if reordering.open:
        with reordering:
            show_reordering(bench, layer)
    if by_hand.open:
        with by_hand:
            show_by_hand(bench)
    if budget.open:
        with budget:
            show_budget(bench)
