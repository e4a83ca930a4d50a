"""The button that downloads the report."""

from datetime import datetime
from functools import partial
from importlib.metadata import version
from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from core.networks.metadata import provenance
from core.ui.app.presenting import is_presenting
from core.ui.parts.record import Record
from core.ui.report.document import Report, document
from core.ui.report.words import file_name, settings_in_words
from core.ui.sidebar.settings import current_settings

DRAWN_WITH = {"streamlit": "streamlit", "altair": "altair", "vl-convert": "vl-convert-python"}
"""Name of a package -> what it is installed as."""


def offer_report(slot: DeltaGenerator, page: StreamlitPage, record: Record) -> None:
    """Draw the button, if the page has charts; call it when the page has been drawn.

    The file is made when the button is pressed, from the record of this run.
    """
    if is_presenting() or not record.has_charts:
        return
    settings = current_settings()
    report = Report(page.title, link_to_view(), settings_in_words(settings), record)
    slot.download_button(
        "Report",
        partial(_made_now, report),
        file_name([page.title, *record.open_tabs], settings),
        "text/html",
        key="report",
        help="What this page shows, in one file that needs no connection: settings, numbers, "
        "sentences and charts, and the link to this view.",
        type="tertiary",
        icon=":material/summarize:",
        on_click="ignore",
    )


def link_to_view() -> str:
    """Return the page's address, with the settings that its query parameters keep."""
    page = urlsplit(st.context.url or "")
    query = urlencode(st.query_params.to_dict())
    return page._replace(path=page.path or "/", query=query).geturl()


def _made_now(report: Report) -> bytes:
    recorded = provenance()
    versions = {**recorded["versions"], **{name: version(of) for name, of in DRAWN_WITH.items()}}
    if recorded["commit"]:
        versions["commit"] = recorded["commit"]
    # Names of files may hold bytes that are no text.
    return document(report, datetime.now().astimezone(), versions).encode(errors="replace")
