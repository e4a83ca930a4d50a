"""Tables of a page that its report repeats."""

import pandas as pd
import streamlit as st

from core.ui.parts.record import NamedRows, Rows, note


def show_rows(title: str, frame: pd.DataFrame) -> None:
    """Show a table that can be sorted; the report puts the title above it."""
    st.dataframe(frame, hide_index=True)
    note(title, Rows(title, frame))


def show_named_rows(title: str, frame: pd.DataFrame, has_header: bool = True) -> None:
    """Show a table whose rows are named by its index; the report puts the title above it."""
    st.table(frame, hide_header=not has_header)
    note(title, NamedRows(title, frame))
