"""The page Tour: five views that tell the story, to be read alone or presented."""

import streamlit as st

from core import ui

st.subheader("A tour in five stops")
ui.show_tour()
