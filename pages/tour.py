"""Five stops that tell the story, to be read alone or shown to an audience."""

import streamlit as st

from core import ui

st.subheader("A tour in five stops")
ui.show_tour()
