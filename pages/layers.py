"""What pruning does to each layer, and what each layer can bear."""

import streamlit as st

from core import ui

bench = ui.open_workbench()
st.subheader("Which layers are padding, and which are fragile?")
layer = ui.show_overview(bench)
ui.show_layer_views(bench, layer)
