"""The view Frontier: accuracy against what a network costs, and what nothing else beats."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import charts
from core.baselines.shelf import by_name
from core.errors import InputError
from core.formatting import change, decimal, percent, percent_within
from core.measuring.statistics import mcnemar, wilson_interval
from core.results import Conditions, Key, Latency, Outcome, Result
from core.results.key import settings_of
from core.specs.point import Point
from core.specs.recovery import NOTHING
from core.specs.vocabulary import ALL_RECOVERIES, METHODS
from core.specs.written import text_of
from core.studies.pareto import WITHIN, Judges, cheapest_within, frontier
from core.sweeps.known import BASELINE
from core.ui.bench.resources import FileVersion, file_version, load_checkpoint, load_store
from core.ui.bench.workbench import Workbench
from core.ui.efficiency.conditions import choose_conditions, in_words, load_latencies
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.plain import plain
from core.ui.parts.tables import show_rows
from core.ui.parts.texts import show_remark, show_title
from core.ui.sidebar.standing import stand_at

CHART, PICKED = "pareto", "picked_network"
PRESENTED_HEIGHT = 560  # pixels
FAR_BEHIND = 0.1
MISSING = "cannot_stand"  # session key: what was clicked has no controls
QUANTITIES: Mapping[str, tuple[str, str, float]] = {
    "parameters": ("Parameters that are not zero", "~s", 1),
    "MACs": ("MACs executed for one image", "~s", 1),
    "file": ("File, compressed, in MB", "~g", 1e6),
    "latency": ("Milliseconds, measured", "~g", 1e-3),
}
"""The costs: their title, their format, and what they are divided by."""


def show_frontier(bench: Workbench) -> None:
    """Draw the chart, and the table of those that win within a point of the baseline."""
    unpruned = bench.known.result(BASELINE)
    if unpruned is None:
        st.caption("The unpruned network was not measured on these images.")
        return
    which, under = st.columns([3, 5], vertical_alignment="bottom")
    quantity = which.segmented_control(
        "Against",
        list(QUANTITIES),
        default="parameters",
        required=True,
        key="pareto_quantity",
        bind="query-params",
    )
    with under:
        latencies = load_latencies().of(bench.checkpoint.fingerprint)
        conditions = choose_conditions(latencies)
    frame = frame_of(bench, unpruned, latencies, conditions)
    column, (title, unit, divisor) = str(quantity), QUANTITIES[str(quantity)]
    shown = frame[frame[column].notna()].copy()
    shown[column] /= divisor
    shown["on_frontier"] = frontier(shown[column].to_numpy(), shown["accuracy"].to_numpy())
    if len(shown) < 2:
        st.caption("Nothing pruned was measured under these conditions yet: see the view Time.")
        return
    columns = [name for name in shown if name not in (*QUANTITIES, "point")]
    drawing = charts.pareto(shown[[*columns, column]], column, title, unit, PICKED)
    show_chart(
        drawing,
        CHART,
        alt=f"Accuracy against {title.lower()} of every known network of this baseline, with the "
        "frontier that none beats.",
        on_select=lambda: _stand_at_clicked(shown),
        selection=PICKED,
        presented_height=PRESENTED_HEIGHT,
    )
    if name := st.session_state.pop(MISSING, ""):
        st.info(f"The sidebar has no controls for {plain(name)}.", icon=":material/tune:")
    show_remark(
        f"{len(shown):,} networks on {unpruned.evaluation.seen:,} test images; those that another "
        "one beats are pale. The grey line is the frontier, picked on these images, so it "
        "flatters by about the width of an interval. A click sets the sidebar."
        + _in_precisions(str(quantity), unpruned, conditions)
    )
    table, choosing = winners(bench, unpruned, frame)
    if len(table):
        show_title(f"**Within {decimal(100 * WITHIN, 0)} point of the unpruned network**")
        show_rows("Within a point of the unpruned network", table)
        show_remark(
            f"Chosen on {choosing:,} of the test images; the accuracy is on the others, beside "
            f"that of the unpruned network. Latency: {plain(in_words(conditions))}."
        )
    offer_all({"frontier": (drawing, shown.drop(columns="point"))})


def _in_precisions(quantity: str, unpruned: Result, conditions: Conditions) -> str:
    """Say under which conditions latencies are, and where the accuracy is of another precision."""
    if quantity != "latency":
        return ""
    said = f" Latency: {plain(in_words(conditions))}, with {plain(conditions.versions)}."
    precision = unpruned.key.precision
    if precision != conditions.precision:
        said += f" The accuracy was measured in {precision}."
    return said


def frame_of(
    bench: Workbench,
    unpruned: Result,
    latencies: Sequence[Latency],
    conditions: Conditions,
) -> pd.DataFrame:
    """Return the frame of `charts.pareto` with all quantities; `point` is each one's Point."""
    key = unpruned.key
    timed = [
        each
        for each in latencies
        if each.key.conditions == conditions and each.key.architecture == key.architecture
    ]
    whole = float(np.median([each.speedup.reference_seconds for each in timed])) if timed else None
    # What can't be told from the unpruned network's time is no gain.
    times = {
        (each.key.settings, each.key.hundredths): each.speedup.median if each.speedup.differs else 1
        for each in timed
    }
    others = other_baselines(bench)
    now = {(spec, bench.settings.recovery) for spec in bench.specs().values()}
    rows: list[dict[str, Any]] = []
    for outcome in bench.known.store.on_images(key.data, key.subset, key.subset_seed):
        try:
            point = outcome.point
        except (TypeError, InputError):  # of a later version
            continue
        if point.spec.overrides:  # ratios of their own have no name
            continue
        is_own = (outcome.checkpoint, outcome.architecture) == (key.checkpoint, key.architecture)
        is_baseline = point.spec.is_identity and point.recovery == NOTHING
        if outcome.precision != key.precision or not (is_own or is_baseline):
            continue
        if not is_own and outcome.checkpoint not in others:
            continue
        if is_own and is_baseline:
            seconds = whole
        else:
            speedup = times.get((outcome.settings, outcome.hundredths)) if is_own else None
            seconds = whole / speedup if whole and speedup else None
        rows.append(
            {
                "number": len(rows),
                "method": _method(point, is_baseline),
                "recovery": ALL_RECOVERIES[point.recovery.method].label,
                "name": text_of(point) if is_own else others[outcome.checkpoint],
                "ratio": point.spec.ratio,
                **_counted(outcome, key.subset),
                "parameters": outcome.nonzero,
                "MACs": outcome.macs,
                "file": outcome.compressed_bytes,
                "latency": seconds,
                "own": is_own,
                "current": is_own and (point.spec, point.recovery) in now,
                "point": point,
            }
        )
    return pd.DataFrame(rows).astype({"latency": float, "file": float})


def _method(point: Point, is_baseline: bool) -> str:
    if is_baseline:
        return charts.UNPRUNED
    method = METHODS[point.spec.method]
    return method.label if method.zeroes_rest else method.granularity


def _counted(outcome: Outcome, seen: int) -> dict[str, float]:
    low, high = wilson_interval(outcome.correct, seen)
    accuracy = outcome.correct / seen
    return {
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "correct": outcome.correct,
        "seen": seen,
    }


def other_baselines(bench: Workbench) -> dict[str, str]:
    """Return the names of the data set's other baselines by the fingerprint of their tensors."""
    return {
        _fingerprint(file_version(path)): name
        for name, path in by_name(bench.settings.dataset).items()
        if file_version(path) != bench.file
    }


@st.cache_data(show_spinner=False, max_entries=64)
def _fingerprint(file: FileVersion) -> str:
    return load_checkpoint(file).fingerprint


def _stand_at_clicked(shown: pd.DataFrame) -> None:
    """Set the sidebar to the clicked network; as a callback it runs before it is drawn."""
    picked = st.session_state[CHART]["selection"].get(PICKED, [])
    if not picked:
        return
    found = shown[shown["number"] == picked[0]["number"]]
    if len(found) and not stand_at(found["point"].iloc[0]):
        st.session_state[MISSING] = str(found["name"].iloc[0])


def winners(bench: Workbench, unpruned: Result, frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the table of the cheapest networks within a point, and how many images chose them."""
    labels = bench.known.store.test_labels(unpruned.key.data)
    if labels is None or unpruned.key.subset != len(labels):
        return pd.DataFrame(), 0
    judges = Judges.of(labels)
    # Only to read fewer: what is so far behind on all images cannot be within a point on some.
    least = unpruned.evaluation.correct - round(FAR_BEHIND * len(labels))
    counts = hash(tuple(frame["correct"])), bench.known.store.shipped_files
    candidates = _candidates(unpruned.key, counts, least)
    own = {
        (settings_of(point.spec), round(100 * point.spec.ratio), point.recovery): row
        for row, point in zip(frame.to_dict("records"), frame["point"], strict=True)
        if row["method"] != charts.UNPRUNED
    }
    rows = []
    known = [
        (each, own[found])
        for each in candidates
        if (found := (settings_of(each.key.spec), each.key.hundredths, each.key.recovery)) in own
    ]
    judged = [judges.judge(each) for each, _ in known]
    baseline = judges.judge(unpruned)
    everything = frame[(frame["method"] == charts.UNPRUNED) & (frame["name"] == text_of(BASELINE))]
    for quantity in QUANTITIES:
        costs = [None if np.isnan(row[quantity]) else row[quantity] for _, row in known]
        best = cheapest_within(costs, judged, baseline, len(judges.choosing))
        if best is None:
            continue
        result, row = known[best]
        whole = float(everything[quantity].iloc[0])
        if row[quantity] >= whole:  # nothing is saved within a point
            continue
        rows.append(
            {
                "Least": quantity,
                "Network": row["name"],
                "of the unpruned": percent(row[quantity] / whole),
                "Accuracy on the others": _judged_in_words(result, unpruned, judges),
            }
        )
    return pd.DataFrame(rows), len(judges.choosing)


def _judged_in_words(result: Result, unpruned: Result, judges: Judges) -> str:
    others = judges.judging
    right, was_right = ((each.predictions == each.labels)[others] for each in (result, unpruned))
    accuracy = percent_within(float(right.mean()), *wilson_interval(int(right.sum()), len(right)))
    test = mcnemar(was_right, right)
    if not test.significant:
        return f"{accuracy} (can't be told apart)"
    points = 100 * (float(right.mean()) - float(was_right.mean()))
    return f"{accuracy} ({change(points)} points)"


@st.cache_resource(show_spinner="Judging …", max_entries=4)
def _candidates(
    key: Key,
    counts: tuple[object, ...],  # noqa: ARG001, so that what is measured later counts
    least: int,
) -> list[Result]:
    return list(load_store().judged_by_all(key, least))
