"""Presentation mode: larger type, no controls around the view, arrow keys move the ratio."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from core.pruning.matching import HIGHEST_RATIO
from core.specs.vocabulary import GRANULARITIES
from core.ui.app.address import set_query_parameter
from core.ui.bench.workbench import Workbench
from core.ui.parts.record import Heading, note

PARAMETER = "present"
TOGGLE = "presenting"
PLAYING = "playing"
NEXT_RATIO = "next_ratio"
STEP = 0.05  # change of the ratio for each press of an arrow key
SECONDS_PER_FRAME = 0.1  # in addition to the time that drawing takes
TYPE_SCALE = 1.25
# Containers whose key starts with "aside" are hidden while presenting.
STYLE = f"""<style>
html {{ font-size: {TYPE_SCALE:.0%}; }}
[data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stExpandSidebarButton"],
[data-testid="stPopover"], [data-testid="stTooltipIcon"], [class*="st-key-aside"]
{{ display: none; }}
[data-testid="stMainBlockContainer"] {{ padding: 0.5rem 2rem; }}
/* The Leave button is in the corner of every page, beside the other buttons. */
.st-key-leave {{ position: fixed; top: 0.5rem; right: 2rem; width: auto; z-index: 100; }}
.st-key-keys {{ padding-right: 7.5rem; }}
/* A stop of the tour has its own title; the buttons stay in the page so that keys still work. */
.stApp:has(.st-key-tour_banner) .st-key-in_words {{ display: none; }}
.stApp:has(.st-key-tour_banner) :is(.st-key-question, .st-key-leave)
{{ position: absolute; opacity: 0; pointer-events: none; }}
</style>"""


def is_presenting() -> bool:
    return bool(st.session_state.get(TOGGLE))


def present_control() -> None:
    """Draw the toggle, kept in the URL as `?present=1`; call it before the slider is drawn."""
    state = st.session_state
    if TOGGLE not in state:
        state[TOGGLE] = st.query_params.get(PARAMETER) == "1"
    if NEXT_RATIO in state:
        state["ratio"] = state.pop(NEXT_RATIO)
    presenting = st.toggle(
        "Present",
        key=TOGGLE,
        help="Larger type, without the sidebar. The arrow keys move the ratio, P animates it up to "
        "0.95, Esc leaves this mode.",
    )
    if presenting:
        st.html(STYLE)
    set_query_parameter(PARAMETER, "1" if presenting else None)


def leave_button() -> None:
    """Draw the button that leaves presentation mode, on the page because the sidebar is hidden."""
    if is_presenting():
        st.button("Leave", key="leave", shortcut="Esc", on_click=_leave)


@contextmanager
def presented(bench: Workbench, question: str) -> Iterator[None]:
    """Draw the question, and while presenting the buttons; after the view, move on if playing."""
    note("question", Heading(question))
    if not is_presenting():
        st.subheader(question)
        yield
        return
    ratios = playable(bench)
    with st.container(key="question"):
        asked, keys = st.columns([6, 5], vertical_alignment="center")
        asked.markdown(f"#### {question}")
        with keys:
            _keys(bench.settings.ratio, ratios)
    yield
    if st.session_state.get(PLAYING):
        later = [ratio for ratio in ratios if ratio > bench.settings.ratio]
        if not later:
            st.session_state[PLAYING] = False
            st.rerun()
        time.sleep(SECONDS_PER_FRAME)
        st.session_state[NEXT_RATIO] = later[0]
        st.rerun()


def playable(bench: Workbench) -> list[float]:
    """Return the ratios at which both methods are stored for these settings, ascending."""
    settings = bench.settings
    if settings.match != "ratio":  # matched by parameters, the ratios are rarely stored
        return []
    known = [
        {point.ratio for point in bench.known.curve(settings.point(name, 0.5))}
        for name in GRANULARITIES
    ]
    return sorted(ratio for ratio in set.intersection(*known) if ratio <= HIGHEST_RATIO)


def _keys(ratio: float, ratios: Sequence[float]) -> None:
    playing = bool(st.session_state.get(PLAYING))
    with st.container(horizontal=True, horizontal_alignment="right", gap="small", key="keys"):
        st.button(
            "Less",
            shortcut="Left",
            on_click=_move,
            args=(ratio - STEP,),
        )
        st.button(
            "More",
            shortcut="Right",
            on_click=_move,
            args=(ratio + STEP,),
        )
        st.button(
            "Stop" if playing else "Play",
            key="play",
            shortcut="P",
            on_click=_play,
            args=(not playing, ratio, ratios),
            disabled=len(ratios) < 2,
        )


def _move(ratio: float) -> None:
    st.session_state[PLAYING] = False
    st.session_state["ratio"] = round(min(max(ratio, 0.0), HIGHEST_RATIO), 2)


def _play(playing: bool, ratio: float, ratios: Sequence[float]) -> None:
    """Start or stop playing; start from the first ratio if the last one is reached."""
    st.session_state[PLAYING] = playing
    if playing and ratio >= ratios[-1]:
        st.session_state["ratio"] = ratios[0]


def _leave() -> None:
    st.session_state[PLAYING] = False
    st.session_state[TOGGLE] = False
