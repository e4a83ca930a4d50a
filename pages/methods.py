"""What was found, and how: formulas, papers, measures, limits."""

import streamlit as st

from core import ui

findings = st.container()
ui.show_explanation()  # stands by itself, where there is no baseline either
with findings:
    st.subheader("What was found")
    ui.show_findings(ui.open_workbench())
