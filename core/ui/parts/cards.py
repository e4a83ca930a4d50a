"""Cards and tables with the accuracy and cost of one network."""

from typing import Literal

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.dataset import KNOWN_COPIES
from core.formatting import change, percent
from core.measuring.outcome import Cost, Evaluation
from core.measuring.statistics import PairedTest
from core.results import Result
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS, RECOVERIES
from core.sweeps.reading import Reading
from core.ui.parts.record import Numbers, note
from core.ui.parts.tables import show_named_rows
from core.ui.parts.texts import show_remark

NEW_LINE = "  \n"  # Markdown's


def method_card(
    slot: DeltaGenerator,
    name: str,
    spec: PruningSpec,
    recovery: Recovery,
    cost: Cost,
    baseline_cost: Cost,
    reading: Reading | None,
    so_far: Evaluation | None = None,
) -> None:
    """Fill `slot` with one method's numbers, from `reading` or from the running evaluation."""
    evaluation = reading.result.evaluation if reading else so_far
    test = reading.test if reading else None
    source = "stored" if reading and not reading.is_live else "live"
    how, after = METHODS[spec.method], RECOVERIES[recovery.method]
    what = (
        f"{how.short}{after.short} · ratio {spec.ratio:.2f}"
        + (f", then {spec.rest_ratio:.2f}" if spec.rest_ratio else "")
        + (" (nearest measured)" if reading and reading.is_nearest else "")
    )
    parameters_left = f"{percent(cost.nonzero / baseline_cost.nonzero)} left"
    macs_left = f"{percent(cost.macs / baseline_cost.macs)} left"
    with slot.container(border=True, gap="xsmall"):
        st.markdown(f"**{name}**, {what}", help=f"{how.sentence} {after.sentence}".strip())
        # A horizontal container, because st.columns would be stacked on a phone.
        row = st.container(horizontal=True, gap="xsmall")
        with row:
            _accuracy(evaluation, _change(evaluation, reading), test)
        row.metric(
            "Parameters",
            millions(cost.nonzero),
            delta=parameters_left,
            delta_color="off",
            delta_arrow="off",
            help="Parameters that remain and are not zero.",
        )
        row.metric(
            "MACs",
            millions(cost.macs),
            delta=macs_left,
            delta_color="off",
            delta_arrow="off",
            help="Multiply-accumulates executed for one image. Zeros in a dense tensor are "
            "multiplied too.",
        )
        st.caption(
            _interval(evaluation, source) + NEW_LINE + _compared(reading),
            help=_provenance(reading.result) if reading else None,
        )
    values = {
        "Pruned": what,
        **_accuracy_in_full(evaluation, reading),
        "Parameters": f"{millions(cost.nonzero)}, {parameters_left}",
        "MACs": f"{millions(cost.macs)}, {macs_left}",
        **({"Source": _provenance(reading.result)} if reading else {}),
    }
    note(name, Numbers(name, values))


def _accuracy_in_full(evaluation: Evaluation | None, reading: Reading | None) -> dict[str, str]:
    """Return what a card says about the accuracy, by what each part is."""
    if evaluation is None:
        return {"Accuracy": "not measured"}
    low, high = evaluation.interval
    said = {
        "Accuracy": percent(evaluation.accuracy),
        "95% interval": f"{percent(low)} to {percent(high)}",
        "Test images": f"{evaluation.seen:,}",
        "Against the baseline": _change(evaluation, reading),
    }
    if reading is None:
        return said
    return {**said, "Paired test": _compared(reading)}


def _accuracy(evaluation: Evaluation | None, difference: str, test: PairedTest | None) -> None:
    color: Literal["off", "red", "green"] = "off"
    arrow: Literal["off", "up", "down"] = "off"
    if test is not None and test.significant:  # Streamlit does not parse U+2212 as a minus
        color, arrow = ("red", "down") if test.lost > test.gained else ("green", "up")
    st.metric(
        "Accuracy",
        percent(evaluation.accuracy) if evaluation else "–",
        delta=difference,
        delta_color=color,
        delta_arrow=arrow,
        help="Difference from the baseline on the same images; grey if it is not significant."
        if evaluation
        else None,
    )


def _change(evaluation: Evaluation | None, reading: Reading | None) -> str:
    """Return the difference from the baseline, or the progress of the evaluation."""
    if evaluation is None:
        return "not measured"
    if reading is None:
        return f"{evaluation.seen:,} of {evaluation.total:,} …"
    if reading.reference is None:
        return "not compared"
    points = 100 * (evaluation.accuracy - reading.reference.evaluation.accuracy)
    return f"{change(points)} points"


def _interval(evaluation: Evaluation | None, source: str) -> str:
    if evaluation is None:
        return "\u00a0"
    low, high = evaluation.interval
    return f"95% interval {percent(low)} to {percent(high)} · {evaluation.seen:,} images · {source}"


def _compared(reading: Reading | None) -> str:
    """Describe the paired test, or why there is none; always one line, to fix the card's height."""
    if reading is None:
        return "\u00a0"
    test = reading.test
    if test is None:
        precision = reading.result.key.precision
        return f"Not compared: the baseline was not measured in {precision} on these images"
    if not test.lost and not test.gained:
        return "Correct on exactly the same images as the baseline"
    flips = f"{test.lost:,} newly wrong, {test.gained:,} newly right"
    if test.significant:
        return f"{flips} (p\u00a0{_p_value(test.p_value)})"
    return f"{flips} (not significant)"


def _provenance(result: Result) -> str:
    """Describe where a result comes from, for the tooltip."""
    origin = result.origin
    how = f"in {result.key.precision} on {origin.device}, with {origin.versions}"
    when = origin.date[:10]
    when_and_how = f"on {when}, {how}{_images(result)}."
    if not origin.file:
        return f"Measured on this machine {when_and_how}"
    return f"Precomputed, shipped with the app ({origin.file}). Measured {when_and_how}"


def _images(result: Result) -> str:
    copy = KNOWN_COPIES.get(result.key.data)
    return f", on {copy}" if copy else ""


def _p_value(p_value: float) -> str:
    return "<\u00a00.001" if p_value < 0.001 else f"=\u00a0{p_value:.3f}"


def cost_table(costs: dict[str, Cost], compressed: dict[str, int]) -> None:
    """Draw a table of all costs of the baseline (the first entry) and both methods."""
    rows = {
        "Parameters stored": [f"{cost.parameters:,}" for cost in costs.values()],
        "Non-zero parameters": [f"{cost.nonzero:,}" for cost in costs.values()],
        "MACs executed": [f"{cost.macs / 1e6:,.1f} M" for cost in costs.values()],
        "MACs on non-zeros (theoretical)": [
            f"{cost.macs_nonzero / 1e6:,.1f} M" for cost in costs.values()
        ],
        "File, fp16": [f"{cost.bytes / 1e6:.2f} MB" for cost in costs.values()],
        "File, compressed": [
            f"{compressed[name] / 1e6:.2f} MB" if name in compressed else "…" for name in costs
        ],
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(costs))
    show_named_rows("Costs in full", frame)
    show_remark(
        "Zeros don't shrink a dense file and don't speed up a dense network. Fine-grained pruning "
        "saves bytes only in the compressed file, and its theoretical MACs assume a kernel that "
        "skips every zero. Removing channels makes the tensors themselves smaller."
    )


def millions(number: float) -> str:
    """Format a count in millions, such as 7.82 M."""
    return f"{number / 1e6:.2f} M" if number < 1e8 else f"{number / 1e6:,.0f} M"
