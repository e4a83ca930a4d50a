"""The view Time: what pruning saves of the time, measured, beside what the MACs promise."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.device import best_device
from core.errors import InputError
from core.export.runtimes import RUNTIMES
from core.formatting import capitalised, decimal, percent
from core.results import Conditions, Latency, LatencyKey
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES, METHODS
from core.studies.latency import measure_latency, speedup_in_words
from core.ui.bench.turns import evaluation_turn
from core.ui.bench.workbench import Workbench
from core.ui.efficiency.conditions import (
    choose_conditions,
    in_words,
    is_here,
    load_latencies,
)
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.plain import plain, warn
from core.ui.parts.progress import followed
from core.ui.parts.texts import show_remark, show_sentences, show_title
from core.ui.sidebar.settings import MULTIPLES

CURVE = tuple(step / 10 for step in range(1, 10))
STAIRS = tuple(step / 100 for step in range(40, 61, 2))
PRESENTED_HEIGHT = 520  # pixels
SPARSE = "csr"
HERE, CURVES, WIDTHS = "Measure here", "Measure the curves", "Measure odd widths"
DONE_WITHOUT = {"channel": "gone", "hybrid": "gone or on zeros"}
"""What becomes of the MACs that need not be done, by method; of the others they are on zeros."""


def show_times(bench: Workbench) -> None:
    """Draw the conditions, what they say of the slider's setting, and the charts."""
    store = load_latencies()
    known = store.of(bench.checkpoint.fingerprint)
    conditions = choose_conditions(known)
    here = {each.key: each for each in known if each.key.conditions == conditions}
    words = st.container()
    slot = st.empty()
    with st.container(key="aside_measure"):
        asked = _buttons(conditions, _rounds_widths(bench))
        for runtime in RUNTIMES.values():
            if lacking := runtime.missing():
                st.caption(f"{runtime.label}: {plain(lacking)}")
    if asked:
        _measure(bench, conditions, asked, set(here), slot)
        here = {
            each.key: each
            for each in store.of(bench.checkpoint.fingerprint)
            if each.key.conditions == conditions
        }
    specs = bench.specs()
    with words:
        lines = [_in_words(bench, specs[name], name, here, conditions) for name in specs]
        ran_on = sorted({each.ran_on for each in here.values()})
        computed = f" ({', '.join(ran_on)})" if ran_on else ""
        lines.append(
            f"Measured on {in_words(conditions)}, with {conditions.versions}{computed}."
            if here
            else f"{capitalised(in_words(conditions))}, with {conditions.versions}."
        )
        show_sentences(lines, "in words")
    for note in store.notes:
        st.caption(f":material/info: {plain(note)}")
    frame = frame_of(bench, here, conditions)
    if frame.empty:
        st.caption("Nothing was measured under these conditions yet.")
        return
    pays = pays_from(frame) if _is_sparse(conditions) else None
    drawing = charts.time_against_work(frame, pays)
    show_chart(
        drawing,
        "time_against_work",
        alt="The time that each method saves, measured, against the MACs that it removes.",
        presented_height=PRESENTED_HEIGHT,
    )
    show_remark(
        "On the dashed line, the time saved would be what the MACs promise. Bars: the middle half "
        "of the rounds; where they reach 0, nothing is saved that can be told from none. "
        "MACs on zeros count as removed, although a dense kernel multiplies them all the same. "
        "The larger marks are at the slider." + _on_runtime(conditions)
    )
    downloads = {"time-against-macs": (drawing, frame)}
    stairs = stairs_frame(bench, here, conditions)
    if stairs.empty:
        offer_all(downloads)
        return
    compared = stairs.loc[stairs["multiple"] != _multiple(1), "ratio"]
    stairs = stairs[stairs["ratio"].between(compared.min(), compared.max())]
    if len(stairs):
        steps = charts.widths(stairs, list(dict.fromkeys(stairs["multiple"])))
        show_title("**Odd widths**: does it pay to keep multiples of 8 or 16 channels?")
        show_chart(
            steps,
            "widths",
            alt="How many times as fast channel pruning is at each ratio, for widths that are "
            "multiples of 1, 8 and 16.",
        )
        show_remark(
            "Kernels work on whole blocks of channels. Where the lines of multiples are above that "
            "of any width, rounding up costs less than it saves."
        )
        downloads["odd-widths"] = (steps, stairs)
    offer_all(downloads)


def _is_sparse(conditions: Conditions) -> bool:
    """Return whether zeros are skipped, and the unpruned network runs in something else."""
    return conditions.runtime in RUNTIMES and bool(RUNTIMES[conditions.runtime].beside)


def _on_runtime(conditions: Conditions) -> str:
    """Say what skips zeros, or what else would and what that needs."""
    if _is_sparse(conditions):
        beside = RUNTIMES[RUNTIMES[conditions.runtime].beside].label
        return f" Here zeros are skipped, and the unpruned network runs in {beside}, dense."
    return (
        f" *{RUNTIMES[SPARSE].label}* skips zeros. Other kernels that do need more: 2:4 sparsity a "
        "GPU of CUDA capability 8.0 and two zeros in each four weights, OpenVINO's sparse weights "
        "matrix products in 8 bits."
    )


def pays_from(frame: pd.DataFrame) -> float | None:
    """Return the part of the MACs from which on all that was measured of weights is faster."""
    weights = frame[frame["method"] == GRANULARITIES[0]].sort_values("ratio", ascending=False)
    faster = weights["low"].gt(0).cummin()  # from the highest ratio down
    return float(weights.loc[faster, "macs_removed"].min()) if faster.any() else None


def _buttons(conditions: Conditions, rounds_widths: bool) -> str:
    """Draw the buttons that measure; return what is asked for, or ""."""
    if not is_here(conditions):
        st.caption("To measure, choose conditions that this machine offers.")
        return ""
    offered = {
        HERE: "Both methods at the slider's ratio, beside the unpruned network.",
        CURVES: "Both methods at 0.1, 0.2 … 0.9: some minutes.",
    }
    if rounds_widths:
        offered[WIDTHS] = "Channels at 0.40, 0.42 … 0.60, any widths and multiples of 8 and 16."
    asked = ""
    for column, (name, help_text) in zip(st.columns(len(offered)), offered.items(), strict=True):
        if column.button(name, icon=":material/timer:", help=help_text, width="stretch"):
            asked = name
    return asked


def _measure(
    bench: Workbench,
    conditions: Conditions,
    asked: str,
    known: set[LatencyKey],
    slot: DeltaGenerator,
) -> None:
    """Measure what is asked for, one after the other; moving any control stops it."""
    specs = list(bench.specs().values())
    if asked == CURVES:
        specs = [bench.settings.spec(name, ratio) for name in GRANULARITIES for ratio in CURVE]
    elif asked == WIDTHS:
        specs = [_rounded(bench, multiple, ratio) for multiple in (1, 8, 16) for ratio in STAIRS]
    keys = {key_of(bench, spec, conditions): spec for spec in specs if not spec.is_identity}
    again = asked == HERE
    wanted = {key: spec for key, spec in keys.items() if again or key not in known}
    store, runtime = load_latencies(), RUNTIMES[conditions.runtime]
    try:
        for number, (key, spec) in enumerate(wanted.items()):
            label = f"{METHODS[spec.method].label} at {spec.ratio:.2f}"
            pruned = bench.pruned(spec).network
            with evaluation_turn(slot):
                steps = measure_latency(
                    key, pruned, bench.checkpoint.network, runtime, best_device()
                )
                latency = followed(
                    steps,
                    lambda event, number=number, label=label: slot.progress(  # type: ignore[misc]
                        (number + event.done / event.total) / len(wanted),
                        f"Timing {label} beside the unpruned network …",
                    ),
                )
            store.put(latency)
    except InputError as error:
        warn(error)
    slot.empty()


def key_of(bench: Workbench, spec: PruningSpec, conditions: Conditions) -> LatencyKey:
    """Return the key of a pruning's latency."""
    checkpoint = bench.checkpoint
    return LatencyKey.of(
        checkpoint.fingerprint,
        checkpoint.signature.identity,
        spec,
        conditions,
        bench.known.evidence_of(spec),
    )


def _in_words(
    bench: Workbench,
    spec: PruningSpec,
    name: str,
    known: Mapping[LatencyKey, Latency],
    conditions: Conditions,
) -> str:
    if spec.is_identity:
        return f"{name}: nothing is pruned."
    latency = known.get(key_of(bench, spec, conditions))
    if latency is None:
        return f"{name} at {spec.ratio:.2f}: not measured under these conditions."
    where = DONE_WITHOUT.get(spec.method, "on zeros")
    start = f"{name} at {spec.ratio:.2f}, {percent(1 - latency.work)} of the MACs {where}"
    speedup = latency.speedup
    return (
        f"{start}: {speedup_in_words(speedup)}, {decimal(1e3 * speedup.seconds, 2)} beside "
        f"{decimal(1e3 * speedup.reference_seconds, 2)} ms; in PyTorch, dense, activations take "
        f"{decimal(latency.peak_bytes / 1e6, 2)} beside "
        f"{decimal(latency.reference_peak_bytes / 1e6, 2)} MB."
    )


def frame_of(
    bench: Workbench, known: Mapping[LatencyKey, Latency], conditions: Conditions
) -> pd.DataFrame:
    """Return the frame of `charts.time_against_work`, of the sidebar's settings."""
    rows = []
    for name in GRANULARITIES:
        now = bench.specs()[name]
        for ratio in sorted({each.hundredths / 100 for each in known}):
            spec = bench.settings.spec(name, ratio)
            latency = known.get(key_of(bench, spec, conditions))
            if latency is None:
                continue
            speedup = latency.speedup
            rows.append(
                {
                    "method": name,
                    "ratio": ratio,
                    "macs_removed": 1 - latency.work,
                    "time_saved": speedup.time_saved,
                    "low": 1 - 1 / speedup.low,
                    "high": 1 - 1 / speedup.high,
                    "seconds": speedup.seconds,
                    "reference_seconds": speedup.reference_seconds,
                    "current": spec == now,
                    "conditions": in_words(conditions),
                    "versions": conditions.versions,
                }
            )
    return pd.DataFrame(rows)


def stairs_frame(
    bench: Workbench, known: Mapping[LatencyKey, Latency], conditions: Conditions
) -> pd.DataFrame:
    """Return the frame of `charts.widths`, of the sidebar's settings for channels."""
    rows = []
    for multiple in MULTIPLES.values() if _rounds_widths(bench) else ():
        for ratio in sorted({each.hundredths / 100 for each in known}):
            latency = known.get(key_of(bench, _rounded(bench, multiple, ratio), conditions))
            if latency is not None:
                speedup = latency.speedup
                rows.append((_multiple(multiple), ratio, speedup.median, speedup.low, speedup.high))
    return pd.DataFrame(rows, columns=["multiple", "ratio", "speedup", "low", "high"])


def _rounds_widths(bench: Workbench) -> bool:
    """Return whether the method for channels makes layers narrower."""
    return METHODS[bench.settings.channel_method].prunes_groups


def _rounded(bench: Workbench, multiple: int, ratio: float) -> PruningSpec:
    """Return the pruning of channels of which a multiple stays in each group."""
    return replace(bench.settings, round_to=multiple).spec(GRANULARITIES[1], ratio)


def _multiple(number: int) -> str:
    return "any width" if number == 1 else f"multiples of {number}"
