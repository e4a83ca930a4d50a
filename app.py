"""The explorer: `streamlit run app.py`."""

import streamlit as st

from core import ui
from core.process import freeze_imported_objects, keep_freed_memory

keep_freed_memory()
freeze_imported_objects()
st.set_page_config(page_title="Pruning explorer", page_icon=ui.page_icon(), layout="wide")
ui.apply_style()
ui.drop_invalid_parameters()
page = ui.navigation()
with st.sidebar.container(gap="xsmall"):
    above, controls, below = st.container(), st.container(gap="xsmall"), st.container()
    with below.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        ui.present_control()
        beside = st.container(width="content")
    with controls:
        ui.shared_controls()
    with above:
        ui.preset_control()
ui.leave_button()
ui.tour_banner()
ui.warn_about_unknown_baseline()
record = ui.new_record()
if ui.run_page(page):
    ui.offer_report(beside, page, record)
