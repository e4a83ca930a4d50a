"""The explorer: `streamlit run app.py`."""

import streamlit as st

from core import ui
from core.device import keep_freed_memory

keep_freed_memory()
st.set_page_config(page_title="Pruning explorer", page_icon=ui.page_icon(), layout="wide")
page = st.navigation(
    [
        st.Page(
            "pages/compare.py", title="Compare", icon=":material/compare_arrows:", default=True
        ),
        st.Page("pages/layers.py", title="Layers", icon=":material/layers:"),
        st.Page("pages/baseline.py", title="Baseline", icon=":material/model_training:"),
    ],
    position="top",
)
with st.sidebar.container(gap="xsmall"):
    above = st.container()
    ui.shared_controls()
    with above:
        ui.preset_control()
page.run()
