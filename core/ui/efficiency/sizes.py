"""The view Size: what the networks weigh in each storage, written and weighed."""

import pandas as pd
import streamlit as st

from core import charts
from core.formatting import percent
from core.measuring.sizes import STORAGES
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES
from core.ui.bench.resources import FileVersion, load_pruned
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.texts import show_remark, show_sentences

UNPRUNED = "Unpruned"


def show_sizes(bench: Workbench) -> None:
    """Draw the size of both methods' networks and of the unpruned one, in each storage."""
    frame = frame_of(bench)
    show_sentences(_in_words(frame), "in words")
    drawing = charts.sizes(
        frame,
        [storage.label for storage in STORAGES.values()],
        [UNPRUNED, *GRANULARITIES],
    )
    show_chart(
        drawing,
        "sizes",
        alt="What the unpruned network and both pruned ones weigh in each storage, in megabytes.",
    )
    show_remark(
        "Each file was written and weighed, as pruned: a recovery changes numbers, not sizes. "
        + " ".join(f"{storage.label}: {storage.sentence}" for storage in STORAGES.values())
    )
    offer_all({"sizes": (drawing, frame)})


def frame_of(bench: Workbench) -> pd.DataFrame:
    """Return the frame of `charts.sizes`."""
    networks = {UNPRUNED: None, **bench.specs()}
    return pd.DataFrame(
        {"storage": STORAGES[storage].label, "network": name, "bytes": size}
        for name, spec in networks.items()
        for storage, size in _weigh(bench.file, spec).items()
    )


def _in_words(frame: pd.DataFrame) -> list[str]:
    dense = frame[frame["storage"] == STORAGES["dense"].label].set_index("network")["bytes"]
    same = [storage.label for name, storage in STORAGES.items() if name != "int8"]
    lines = []
    for name in GRANULARITIES:
        of_one = frame[(frame["network"] == name) & frame["storage"].isin(same)]
        best = min(of_one.to_dict("records"), key=lambda row: row["bytes"])
        lines.append(
            f"{name}: {dense[name] / 1e6:.2f} MB dense, "
            f"{percent(dense[name] / dense[UNPRUNED])} of the unpruned; smallest as "
            f"{best['storage']}, {best['bytes'] / 1e6:.2f} MB."
        )
    return lines


@st.cache_data(show_spinner="Writing and weighing …", max_entries=256)
def _weigh(file: FileVersion, spec: PruningSpec | None) -> dict[str, int]:
    module = load_pruned(file, spec).network.module
    return {name: storage.weigh(module) for name, storage in STORAGES.items()}
