"""The explanation of all methods and measures: text, formulas and papers."""

import re
from pathlib import Path
from urllib.parse import quote_plus

import streamlit as st

from core.specs.vocabulary import data_set_name
from core.ui.parts.plain import plain
from core.ui.sidebar.settings import Settings, is_studied

TEXT = Path(__file__).with_name("text.md")
OF_THE_STUDY = re.compile(r"<!-- study -->(.*?)<!-- end -->", re.DOTALL)
LINK = re.compile(r"\]\((/\w*)\?")


def show_explanation(settings: Settings) -> None:
    """Show the text; its links open views that demonstrate its claims.

    What is about the study's baselines is left out for other data sets.
    """
    st.markdown(explanation(settings.dataset))


def explanation(dataset: str) -> str:
    """Return the text for a data set, whose views its links open."""
    text = TEXT.read_text(encoding="utf-8")
    if is_studied(dataset):
        return OF_THE_STUDY.sub(r"\1", text)
    label = quote_plus(plain(data_set_name(dataset).label))
    return LINK.sub(rf"](\1?dataset={label}&", OF_THE_STUDY.sub("", text))
