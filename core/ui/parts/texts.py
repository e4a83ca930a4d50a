"""Texts of a page that its report repeats."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.ui.parts.plain import plain
from core.ui.parts.record import Remark, Sentences, Title, note

NO_BREAK = "\u00a0"  # gives an empty line its height


def show_sentences(lines: Sequence[str], place: str, slot: DeltaGenerator | None = None) -> None:
    """Show a line for each sentence, as it is, without reading markup in it.

    `place` names it within the page. An empty line keeps its height.
    """
    shown = (f":small[{plain(line) or NO_BREAK}]" for line in lines)
    (slot or st).markdown("  \n".join(shown))
    note(place, Sentences(tuple(filter(None, lines))))


def show_title(markdown: str) -> None:
    """Show the title of a part of the page."""
    st.markdown(markdown)
    note(markdown, Title(markdown))


def show_remark(markdown: str) -> None:
    """Show what is said beside a chart or a table."""
    st.caption(markdown)
    note(markdown, Remark(markdown))
