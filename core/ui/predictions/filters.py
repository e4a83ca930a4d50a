"""Which images are shown: their direction, true class and answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.measuring.flips import DIRECTIONS, LOST, Flips
from core.ui.app.address import set_query_parameter

ANY_DIRECTION, ANY_CLASS, ANY_ANSWER = "any direction", "any class", "any answer"
FLIPPED = "lost or gained"
KEYS = ("flip", "class", "answer_before", "answer_after")
PAGE = "image_page"


@dataclass(frozen=True)
class Filter:
    """Options of the controls; those of classes are names, or ANY_CLASS or ANY_ANSWER."""

    direction: str
    true: str
    before: str
    after: str

    def which(self, flips: Flips, names: Sequence[str]) -> np.ndarray:
        """Return the images that pass, bool (images,)."""
        passed = np.full(len(flips.labels), True)
        if self.direction == FLIPPED:
            passed &= flips.was_right != flips.is_right
        elif self.direction in DIRECTIONS:
            passed &= flips.which(self.direction)
        numbers = {option: number for number, option in enumerate(options_of(names))}
        for option, classes in (
            (self.true, flips.labels),
            (self.before, flips.before),
            (self.after, flips.after),
        ):
            if option in numbers:
                passed &= classes == numbers[option]
        return passed


def options_of(names: Sequence[str]) -> list[str]:
    """Return the names of classes as options, told apart from the options for any class."""
    return [f"{name} (class)" if name in (ANY_CLASS, ANY_ANSWER) else name for name in names]


def choose_filter(names: Sequence[str]) -> Filter:
    """Draw the controls of the filter. A change of one goes back to the first page."""
    classes = options_of(names)
    controls = {
        "Images": [LOST, *DIRECTIONS[1:], FLIPPED, ANY_DIRECTION],
        "True class": [ANY_CLASS, *classes],
        "Answer before": [ANY_ANSWER, *classes],
        "Answer after": [ANY_ANSWER, *classes],
    }
    columns = st.columns(len(controls))
    return Filter(
        *(
            str(
                column.selectbox(
                    label, options, key=key, bind="query-params", on_change=_to_first_page
                )
            )
            for column, key, (label, options) in zip(columns, KEYS, controls.items(), strict=True)
        )
    )


def filter_by(true: str, before: str = ANY_ANSWER, after: str = ANY_ANSWER) -> None:
    """Show the images of a class that were given an answer; call it before the controls."""
    for key, value in zip(KEYS, (ANY_DIRECTION, true, before, after), strict=True):
        st.session_state[key] = value
        set_query_parameter(key, value)  # only what a person chooses gets there by itself
    st.session_state["predictions"] = "Images"
    st.session_state.pop(PAGE, None)


def _to_first_page() -> None:
    st.session_state[PAGE] = 1
