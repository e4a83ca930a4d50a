"""The explorer: `streamlit run app.py`."""

import streamlit as st

from core import ui
from core.process import keep_freed_memory, spare_what_stays

keep_freed_memory()
spare_what_stays()
st.set_page_config(page_title="Pruning explorer", page_icon=ui.page_icon(), layout="wide")
ui.apply_style()
ui.drop_what_controls_stumble_over()
page = ui.navigation()
with st.sidebar.container(gap="xsmall"):
    above, controls, below = st.container(), st.container(gap="xsmall"), st.container()
    with below:
        ui.present_control()
    with controls:
        ui.shared_controls()
    with above:
        ui.preset_control()
ui.way_out()
ui.tour_banner()
ui.warn_of_unknown_baseline()
ui.run_calmly(page)
