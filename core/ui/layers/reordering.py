"""The view Reordering: sorting channels changes the picture of a layer, and no answer."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core import charts
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import CRITERIA, GRANULARITIES
from core.studies.reordering import sort_channels
from core.ui.bench.resources import FileVersion, load_pruner
from core.ui.bench.workbench import Workbench
from core.ui.layers.close_up import coupling, kernel_frame
from core.ui.parts.chart import show_chart
from core.ui.parts.plain import plain
from core.ui.parts.texts import show_remark, show_title
from core.ui.sidebar.settings import usable

CHANNELS = GRANULARITIES[1]
ROUNDING = 1e-9
"""Largest relative difference of answers, in double precision, that rounding explains."""


@dataclass(frozen=True, eq=False)
class Sorted:
    """What the view shows of a layer before and after sorting."""

    before: pd.DataFrame
    after: pd.DataFrame
    difference: float
    answers: int
    groups: int


def show_reordering(bench: Workbench, layer: str) -> None:
    """Show a layer's kernels as trained and with all channels sorted, and compare the answers."""
    settings = bench.settings
    spec = PruningSpec("channel", 0.0, usable("channel", settings.criterion), seed=settings.seed)
    found = _sorted(bench.file, spec, layer)
    criterion = CRITERIA[spec.criterion].label
    show_title(f"**{plain(layer)}**, as trained, and with all channels sorted by {criterion}")
    show_remark(_in_words(found))
    show_remark(plain(coupling(bench.checkpoint.network.structure, layer, spec.method)))
    largest = float(found.before["norm"].max())
    columns = st.columns(2)
    for column, name, cells in zip(
        columns, ("As trained", "Sorted"), (found.before, found.after), strict=True
    ):
        with column:
            show_remark(name)
            show_chart(
                charts.kernel_map(cells.assign(method=CHANNELS), largest),
                f"reordered_{name}",
                alt=f"The norms of the kernels of {layer}, {name.lower()}, output by input "
                "channels.",
            )


def _in_words(found: Sorted) -> str:
    told = (
        f"The channels of {found.groups} groups were sorted, the most important first, in every "
        "layer that has them: outputs here, inputs there. "
    )
    if found.difference <= ROUNDING:
        return told + (
            f"The network is the same one: its {found.answers:,} answers to random images differ "
            f"by at most {found.difference:.0e} of the largest, which is rounding. So the order of "
            "channels means nothing, and the weakest ones can stand at the end, to be cut off."
        )
    return told + (
        f"The answers differ by {found.difference:.1%} of the largest: an operation of this "
        "network depends on the order of its channels."
    )


@st.cache_data(show_spinner="Sorting channels …", max_entries=32)
def _sorted(file: FileVersion, spec: PruningSpec, layer: str) -> Sorted:
    pruner = load_pruner(file)
    found = sort_channels(pruner, spec)
    whole = PruningSpec("fine", 0.0)
    return Sorted(
        kernel_frame(pruner, whole, layer),
        kernel_frame(Pruner(found.network), whole, layer),
        found.difference,
        found.answers,
        found.groups,
    )
