"""What is done here and how, in words, formulas and papers."""

from pathlib import Path

import streamlit as st

TEXT = Path(__file__).with_name("text.md")


def show_explanation() -> None:
    """The text; its links lead to the settings that show what it claims."""
    st.markdown(TEXT.read_text(encoding="utf-8"))
