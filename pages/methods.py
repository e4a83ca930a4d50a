"""The page Methods: findings, formulas, papers, measures and limits."""

import streamlit as st

from core import ui

findings = st.container()
ui.show_explanation()  # first, since open_workbench stops the page if there is no baseline
with findings:
    st.subheader("What was found")
    ui.show_findings(ui.open_workbench())
