"""Both methods at the slider's position, and their accuracy at every ratio."""

import streamlit as st

from core import ui

st.subheader("What does pruning cost, and what does it save?")
ui.show_comparison(ui.open_workbench())
