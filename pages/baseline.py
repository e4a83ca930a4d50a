"""The page Baseline: the network that every comparison starts from, and how to get another."""

import streamlit as st

from core import ui

settings = ui.current_settings()
st.subheader("The baseline")
ui.show_baseline(settings)
ui.show_network(settings)
st.subheader("The images")
dataset = ui.show_data(settings)
st.subheader("Train a baseline")
if dataset is None:
    st.caption("Training needs the images.")
else:
    ui.training_form(dataset)
st.subheader("Import a network")
if dataset is None:
    st.caption("Importing needs the images: its normalisation and accuracy are measured on them.")
else:
    ui.import_network(dataset)
