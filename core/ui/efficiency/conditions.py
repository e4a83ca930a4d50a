"""Under which conditions latencies were measured, or can be measured here."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core import paths
from core.device import best_device
from core.export.runtimes import RUNTIMES
from core.results import Conditions, Latency, LatencyStore, open_latencies
from core.studies.latency import BATCHES, conditions_here, precision_for, usual_threads


@st.cache_resource(max_entries=2)
def _store(folder: Path) -> LatencyStore:
    return open_latencies(folder)


def load_latencies() -> LatencyStore:
    """Return the latencies of this machine and the shipped ones, shared by all sessions."""
    return _store(paths.CHECKPOINTS)


@st.cache_resource(max_entries=1)
def measurable() -> tuple[Conditions, ...]:
    """Return the conditions that can be measured here: installed runtimes, usual batches."""
    device = best_device()
    return tuple(
        conditions_here(
            runtime,
            precision_for(runtime, "auto", device),
            batch,
            usual_threads(),
            device,
        )
        for runtime in RUNTIMES.values()
        if not runtime.missing()
        for batch in BATCHES
    )


def choose_conditions(known: Sequence[Latency]) -> Conditions:
    """Draw the control, and return what is chosen; what has most latencies stands first."""
    counts: dict[Conditions, int] = dict.fromkeys(measurable(), 0)
    for latency in known:
        found = latency.key.conditions
        counts[found] = counts.get(found, 0) + 1
    ordered = sorted(counts, key=lambda each: (-counts[each], each not in measurable()))
    labels = _labels(ordered)
    with st.container(key="aside_conditions"):
        st.selectbox(
            "Measured",
            list(labels),
            key="conditions",
            bind="query-params",
            help="The machine, what runs the network, its precision, how many images at once, and "
            "threads. A latency holds for these only.",
        )
    chosen = st.session_state.get("conditions")
    return labels.get(str(chosen), ordered[0])


def _labels(conditions: Sequence[Conditions]) -> dict[str, Conditions]:
    """Return a label for each; those that differ only in versions say them."""
    counts = Counter(map(in_words, conditions))
    return {
        label if counts[label := in_words(each)] == 1 else f"{label} · {each.versions}": each
        for each in conditions
    }


def in_words(conditions: Conditions) -> str:
    """Return the conditions in words, without versions."""
    found = RUNTIMES.get(conditions.runtime)
    runtime = conditions.runtime if found is None else found.label
    images = "1 image" if conditions.batch == 1 else f"{conditions.batch} images"
    threads = "1 thread" if conditions.threads == 1 else f"{conditions.threads} threads"
    device = "" if conditions.device == "cpu" else f" ({conditions.device})"
    return (
        f"{conditions.machine}{device} · {runtime}, {conditions.precision} · {images} · {threads}"
    )


def is_here(conditions: Conditions) -> bool:
    """Return whether these conditions can be measured on this machine."""
    return conditions in measurable()
