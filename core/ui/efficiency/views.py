"""The page Efficiency: what pruning saves, measured, and the network to take away."""

import streamlit as st

from core.ui.bench.workbench import Workbench
from core.ui.efficiency.frontier import show_frontier
from core.ui.efficiency.sizes import show_sizes
from core.ui.efficiency.timing import show_times

VIEWS = ("Time", "Frontier", "Size")


def show_efficiency(bench: Workbench) -> None:
    """Draw the tabs; only the open one is computed."""
    time, frontier, size = st.tabs(VIEWS, key="efficiency", on_change="rerun", bind="query-params")
    if time.open:
        with time:
            show_times(bench)
    if frontier.open:
        with frontier:
            show_frontier(bench)
    if size.open:
        with size:
            show_sizes(bench)
