"""A guided tour: views of the app with a sentence each, usable as a talk."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from core.studies.shipped_grid import FULL
from core.ui.app import presenting
from core.ui.app.address import set_query_parameter
from core.ui.app.presenting import TOGGLE, is_presenting
from core.ui.sidebar.presets import USUAL
from core.ui.sidebar.settings import baseline_names, require_sidebar

PARAMETER = "tour"
ARRIVING = "arriving"  # in the session: the stop is a new one, whose page may be another


@dataclass(frozen=True)
class Stop:
    title: str
    sentence: str
    page: str  # of the folder pages
    settings: Mapping[str, str | float]  # what differs from the usual ones, as the URL says it


STOPS = (
    Stop(
        "The baseline",
        "A ResNet-18 that was trained once. Everything else starts from this file: how often is "
        "it right, and how sure can we be of that?",
        "baseline",
        {},
    ),
    Stop(
        "Half of all weights",
        "Fine-grained pruning sets the smallest half of each layer's weights to zero. Compare the "
        "accuracy on the left with the arithmetic: zeros are multiplied like any other number.",
        "compare",
        {"ratio": 0.5},
    ),
    Stop(
        "A third of all channels",
        "Channel pruning takes whole channels out, so the network really becomes smaller and "
        "needs fewer operations. Without repair, accuracy collapses (right).",
        "compare",
        {"ratio": 0.3},
    ),
    Stop(
        "What batch-norm gives back",
        "The same channels are gone, and no weight was trained: only the means and variances that "
        "batch-norm uses were estimated again. Most of the drop came from stale statistics, not "
        "from the missing channels.",
        "compare",
        {"ratio": 0.3, "recovery": "BN recalibrated"},
    ),
    Stop(
        "Which layers pay",
        "With one threshold for all, some layers give up nearly everything and others hardly "
        "anything: not every layer needs what it has.",
        "layers",
        {"ratio": 0.5, "weights": "global", "allocation": "global"},
    ),
)


def show_tour() -> None:
    """The stops as a list, each with a way in and a link to share."""
    require_sidebar()
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
        help="Larger type and the views alone; the keys page up and page down, which a "
        "presenter's remote control sends, move on and back.",
    )


def tour_banner() -> None:
    """The sentence of the stop where the tour is, if it is under way, with the ways on and back."""
    state = st.session_state
    if PARAMETER not in state:
        asked = st.query_params.get(PARAMETER, "")
        state[PARAMETER] = int(asked) if asked in _NUMBERS else 0
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
    """The address of a stop's view, within this server."""
    stop = STOPS[number - 1]
    page = "" if stop.page == "compare" else stop.page
    return f"/{page}?{urlencode({**stop.settings, PARAMETER: number})}"


_NUMBERS = {str(number) for number in range(1, len(STOPS) + 1)}


def _set(number: int) -> None:
    """Move the tour and the sidebar; before the sidebar is drawn. 0 ends the tour."""
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
    """To the stop's page. Giving no parameters would clear those of widgets, which is refused."""
    parameters = {PARAMETER: str(number)}
    if is_presenting():
        parameters[presenting.PARAMETER] = "1"
    st.switch_page(f"pages/{STOPS[number - 1].page}.py", query_params=parameters)
