"""The view Confusions: which classes are taken for which, and how that shifts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core import charts
from core.measuring.flips import Flips, confusion
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all, offer_table
from core.ui.parts.tables import show_rows
from core.ui.parts.texts import show_remark
from core.ui.predictions.filters import filter_by, options_of

PICKED = "picked_confusion"
CHART = "confusions"
WHICH = "confusions_of"
SHIFT, BEFORE, AFTER = "after minus before", "before", "after"
ROWS = 20  # of the table, where there are too many classes for a matrix


def show_confusions(flips: Flips, names: Sequence[str]) -> None:
    """Draw the matrix, or a table of the largest entries where there are many classes."""
    which = st.segmented_control(
        "Confusions",
        [SHIFT, BEFORE, AFTER],
        default=SHIFT,
        required=True,
        key=WHICH,
        bind="query-params",
    )
    counts = {
        SHIFT: lambda: flips.shift(len(names)),
        BEFORE: lambda: confusion(flips.before, flips.labels, len(names)),
        AFTER: lambda: confusion(flips.after, flips.labels, len(names)),
    }[str(which)]()
    options = options_of(names)
    if len(names) > charts.MOST_IN_MATRIX:
        frame = largest_of(counts, options)
        title = f"The {len(frame)} largest confusions of {len(names)} classes"
        st.caption(f"{title}.")
        columns = {"true": "True class", "answer": "Answer", "images": "Images"}
        show_rows(title, frame.rename(columns=columns))
        offer_table("confusions", frame)
        return
    frame = frame_of(counts, options)
    is_shift = which == SHIFT
    show_chart(
        charts.confusions(frame, is_shift, PICKED),
        CHART,
        alt="A matrix of the answers given to the images of each class"
        + (", after minus before." if is_shift else f", {which}."),
        on_select=_filter_clicked,
        selection=PICKED,
    )
    show_remark(
        "Purple: more wrong answers, or fewer right ones. Green: the reverse. A click shows the "
        "images with this answer: after where it is given more often, before where less."
        if is_shift
        else f"The stronger, the more images. A click shows those with this answer {which}."
    )
    offer_all({"confusions": (charts.confusions(frame, is_shift, None), frame)})


def largest_of(counts: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return the largest entries with a wrong answer, by size, as `frame_of` would."""
    sizes = np.abs(counts)
    np.fill_diagonal(sizes, 0)
    places = np.argsort(-sizes, axis=None, kind="stable")[:ROWS]
    rows, columns = np.unravel_index(places, counts.shape)
    return pd.DataFrame(
        {
            "true": [names[row] for row in rows],
            "answer": [names[column] for column in columns],
            "images": counts[rows, columns],
        }
    )


def frame_of(counts: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Return the frame of `charts.confusions` from counts (true class, answer)."""
    return pd.DataFrame(
        {"true": true, "answer": answer, "images": int(counts[row, column])}
        for row, true in enumerate(names)
        for column, answer in enumerate(names)
    )


def _filter_clicked() -> None:
    """Filter the images by the clicked cell; as a callback it runs before they are drawn."""
    picked = st.session_state[CHART]["selection"].get(PICKED, [])
    if not picked:
        return
    true, answer, images = (picked[0][name] for name in ("true", "answer", "images"))
    drawn = st.session_state.get(WHICH, SHIFT)
    is_of_before = drawn == BEFORE or (drawn == SHIFT and images < 0)
    filter_by(str(true), **{"before" if is_of_before else "after": str(answer)})
