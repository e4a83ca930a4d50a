"""Text that others wrote, shown as it is."""

import re

import streamlit as st

from core.errors import InputError

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


def as_text(text: str) -> str:
    """Escape a text that Streamlit would render as Markdown, HTML, mathematics or an icon."""
    return _MARKUP.sub(r"\\\1", text)


def warn(error: InputError, icon: str = "warning") -> None:
    """Show an error that the user can correct; it may name files and classes as they are."""
    st.warning(as_text(str(error)), icon=f":material/{icon}:")
