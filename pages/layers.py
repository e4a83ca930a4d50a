"""What pruning does to each layer, and what each layer can bear."""

import streamlit as st

from core import ui

bench = ui.open_workbench()
st.subheader("Which layers are padding, and which are fragile?")
layer = ui.show_overview(bench)
close_up, sensitivity = st.tabs(["Close-up", "Sensitivity"])
with close_up:
    ui.show_close_up(bench, layer)
with sensitivity:
    ui.show_sensitivity(bench, layer)
