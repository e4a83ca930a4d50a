"""A guided tour: a list of views with a short text each, which can be presented as a talk."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from core.studies.shipped_grid import FULL
from core.ui.app import presenting
from core.ui.app.address import set_query_parameter
from core.ui.app.presenting import TOGGLE, is_presenting
from core.ui.sidebar.presets import USUAL
from core.ui.sidebar.settings import baseline_names, current_dataset, is_studied

PARAMETER = "tour"
ARRIVING = "arriving"  # session key: the stop has just changed, so its page must be opened


@dataclass(frozen=True)
class Stop:
    title: str
    sentence: str
    page: str  # of the folder pages
    settings: Mapping[str, str | float]  # query parameters that differ from USUAL


STOPS = (
    Stop(
        "The baseline",
        "A ResNet-18 that was trained once. Everything else starts from this file. How accurate is "
        "it, and how certain is that number?",
        "baseline",
        {},
    ),
    Stop(
        "Half of all weights",
        "Fine-grained pruning sets the smallest half of each layer's weights to zero. Accuracy "
        "hardly drops (left), but MACs stay the same: zeros are multiplied like any other number.",
        "compare",
        {"ratio": 0.5},
    ),
    Stop(
        "A third of all channels",
        "Channel pruning removes whole channels, so the network becomes smaller and "
        "needs fewer operations. Without recovery, accuracy collapses (right).",
        "compare",
        {"ratio": 0.3},
    ),
    Stop(
        "What batch-norm gives back",
        "The same channels are removed, and nothing was trained. Only batch-norm's means and "
        "variances were re-estimated. Most of the drop was stale statistics.",
        "compare",
        {"ratio": 0.3, "recovery": "BN recalibrated"},
    ),
    Stop(
        "Which layers pay",
        "With one threshold for all layers, some lose nearly everything and others hardly "
        "anything: not every layer needs all of its weights.",
        "layers",
        {"ratio": 0.5, "weights": "global", "allocation": "global"},
    ),
)


def show_tour() -> None:
    """Show the stops as a list, each with a button that opens it and a link to share."""
    if not is_studied(current_dataset()):
        st.info(
            "The tour is about the network that the study looked at, on other images than these.",
            icon=":material/tour:",
        )
        st.button("Take the tour", type="primary", on_click=_set, args=(1,))
        return
    if FULL not in baseline_names(USUAL["dataset"]):
        st.info(
            f"The tour tells of the baseline `{FULL}`, which is not on this machine. What it says "
            "need not be true of another one.",
            icon=":material/info:",
        )
    for number, stop in enumerate(STOPS, 1):
        with st.container(border=True):
            text, way_in = st.columns([6, 1], vertical_alignment="center")
            text.markdown(
                f"**{number}. {stop.title}**  \n{stop.sentence}  \n"
                f":small[[Link to this view]({link_to(number)})]"
            )
            way_in.button("Go", key=f"go_{number}", on_click=_set, args=(number,), width="stretch")
    st.button(
        "Present the tour",
        type="primary",
        icon=":material/slideshow:",
        on_click=_present,
        help="Larger type, without the sidebar. Page Up and Page Down, the keys of a "
        "presenter's remote control, move back and on.",
    )


def tour_banner() -> None:
    """Show the current stop's text and the buttons Back, Next and End, if the tour is running."""
    state = st.session_state
    if PARAMETER not in state:
        asked = st.query_params.get(PARAMETER, "")
        state[PARAMETER] = int(asked) if asked in _NUMBERS else 0
    if not is_studied(current_dataset()):
        state[PARAMETER] = 0
    number: int = state[PARAMETER]
    set_query_parameter(PARAMETER, str(number) if number else None)
    if not number:
        return
    if state.pop(ARRIVING, False):
        _go(number)
    stop = STOPS[number - 1]
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="tour_banner"):
        st.markdown(f"**{number} of {len(STOPS)} · {stop.title}**  \n{stop.sentence}")
        with st.container(horizontal=True, gap="xsmall", width="content"):
            st.button(
                "Back",
                shortcut="PageUp",
                disabled=number == 1,
                on_click=_set,
                args=(number - 1,),
            )
            st.button(
                "Next",
                type="primary",
                shortcut="PageDown",
                disabled=number == len(STOPS),
                on_click=_set,
                args=(number + 1,),
            )
            st.button("End", on_click=_set, args=(0,))


def link_to(number: int) -> str:
    """Return the relative URL of a stop's view."""
    stop = STOPS[number - 1]
    page = "" if stop.page == "compare" else stop.page
    return f"/{page}?{urlencode({**stop.settings, PARAMETER: number})}"


_NUMBERS = {str(number) for number in range(1, len(STOPS) + 1)}


def _set(number: int) -> None:
    """Move the tour and set the sidebar, as a callback before it is drawn; 0 ends the tour."""
    st.session_state[PARAMETER] = number
    st.session_state[ARRIVING] = number > 0
    if not number:
        return
    settings: dict[str, str | float] = {**USUAL, **STOPS[number - 1].settings}
    if FULL in baseline_names(USUAL["dataset"]):
        settings["baseline"] = FULL
    for key, value in settings.items():
        st.session_state[key] = value


def _present() -> None:
    st.session_state[TOGGLE] = True
    _set(1)


def _go(number: int) -> None:
    """Open the stop's page; Streamlit refuses to switch without any query parameters."""
    parameters = {PARAMETER: str(number)}
    if is_presenting():
        parameters[presenting.PARAMETER] = "1"
    st.switch_page(f"pages/{STOPS[number - 1].page}.py", query_params=parameters)
