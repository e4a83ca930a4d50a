"""The page Methods: findings, formulas, papers, measures and limits."""

import streamlit as st

from core import ui

findings = st.container()
# First, because open_workbench stops the page if there is no baseline.
ui.show_explanation(ui.current_settings())
with findings:
    st.subheader("What was found")
    ui.show_findings(ui.open_workbench())
