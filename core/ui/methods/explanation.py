"""The explanation of all methods and measures: text, formulas and papers."""

from pathlib import Path

import streamlit as st

TEXT = Path(__file__).with_name("text.md")


def show_explanation() -> None:
    """Show the text; its links open views that demonstrate its claims."""
    st.markdown(TEXT.read_text(encoding="utf-8"))
