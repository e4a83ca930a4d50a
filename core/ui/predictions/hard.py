"""The view Hard images: those that most shipped settings get wrong."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core import charts
from core.measuring.outcome import Evaluation
from core.studies.hard_images import WORTHY, TimesWrong, count_wrong
from core.sweeps.known import BASELINE
from core.ui.bench.resources import load_store
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.gallery import Card, show_gallery
from core.ui.parts.texts import show_sentences
from core.ui.predictions.pictures import pictures_of

BINS = 40
SHOWN = 24


def show_hard(bench: Workbench, names: tuple[str, ...]) -> None:
    """Draw how often images are wrong, and those that are wrong most often."""
    unpruned = bench.known.result(BASELINE)
    if unpruned is None:
        st.caption("The unpruned network was not measured on these images.")
        return
    data = unpruned.key.data
    found = _times_wrong(data, bench.known.store.shipped_files)
    if found is None:
        st.caption("No shipped result is on all test images of this data set.")
        return
    known = bench.known.on_subset(len(found.wrong), 0).glance(BASELINE)
    if known is None or known.key.data != data or len(known.labels) != len(found.wrong):
        st.caption("The unpruned network was not measured on all test images.")
        return
    was_right = known.evaluation.is_right
    never, hardest = int(np.sum(found.wrong == 0)), found.hardest(SHOWN)
    of = "one baseline" if found.baselines == 1 else f"{found.baselines} baselines"
    words = (
        f"Of {len(found.wrong):,} test images, {never:,} are right in every one of "
        f"{found.settings:,} shipped settings of {of}: those on all test images that keep at least "
        f"{WORTHY:.0%} of the best accuracy. The {len(hardest)} below are wrong most often; the "
        f"unpruned network has {int(was_right[hardest].sum())} of them right."
    )
    show_sentences([words], "hard")
    frame = frame_of(found, was_right)
    drawing = charts.times_wrong(frame, found.settings)
    show_chart(
        drawing,
        "times_wrong",
        alt="How many test images are wrong in how many of the shipped settings, and which of them "
        "the unpruned network has right.",
    )
    pictures = pictures_of(bench, data, hardest.tolist())
    if pictures is not None:
        show_gallery(_cards(found, known.evaluation, names, pictures))
    labels, answers = known.evaluation.labels, known.evaluation.predictions
    table = pd.DataFrame(
        {
            "image": np.arange(len(labels)),
            "class": [names[label] for label in labels],
            "unpruned": [names[answer] for answer in answers],
            "wrong": found.wrong,
            "settings": found.settings,
        }
    )
    offer_all({"hard-images": (drawing, table)})


def _cards(
    found: TimesWrong, unpruned: Evaluation, names: Sequence[str], pictures: np.ndarray
) -> list[Card]:
    cards = []
    for place, picture in zip(found.hardest(len(pictures)), pictures, strict=True):
        true, said = names[unpruned.labels[place]], names[unpruned.predictions[place]]
        part = found.wrong[place] / found.settings
        lines = (true, f"wrong in {part:.0%}", f"unpruned: {said}")
        cards.append(Card(picture, f"Test image {place}, {true}", lines))
    return cards


def frame_of(found: TimesWrong, was_right: np.ndarray) -> pd.DataFrame:
    """Return the frame of `charts.times_wrong`: images by how often they are wrong."""
    edges = np.unique(np.round(np.linspace(0, found.settings + 1, BINS + 1)).astype(int))
    rows = []
    for name, which in (("right unpruned", was_right), ("wrong unpruned", ~was_right)):
        counts, _ = np.histogram(found.wrong[which], bins=edges)
        rows += [
            {"first": int(start), "last": int(end) - 1, "unpruned": name, "images": int(count)}
            for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    return pd.DataFrame(rows)


@st.cache_resource(show_spinner="Counting …", max_entries=4)
def _times_wrong(
    data: str,
    files: tuple[tuple[str, str], ...],  # noqa: ARG001, part of the key
) -> TimesWrong | None:
    return count_wrong(load_store().shipped_on_everything(data))
