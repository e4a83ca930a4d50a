"""The numbers of one network, as people read them."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.dataset import KNOWN_COPIES
from core.measuring.outcome import Cost, Evaluation
from core.measuring.statistics import PairedTest
from core.results import Result
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS, RECOVERIES
from core.sweeps.known import Reading

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
    """Fill `slot` with one method's numbers: of the reading, or of the evaluation under way."""
    evaluation = reading.result.evaluation if reading else so_far
    test = reading.test if reading else None
    source = "stored" if reading and not reading.is_live else "live"
    how, after = METHODS[spec.method], RECOVERIES[recovery.method]
    with slot.container(border=True, gap="xsmall"):
        st.markdown(
            f"**{name}**, {how.short}{after.short} · ratio {spec.ratio:.2f}"
            + (" (nearest measured)" if reading and reading.is_nearest else ""),
            help=f"{how.sentence} {after.sentence}".strip(),
        )
        # A row that stays one on a phone, where columns would be stacked.
        row = st.container(horizontal=True, gap="xsmall")
        with row:
            _accuracy(evaluation, _change(evaluation, reading), test)
        row.metric(
            "Parameters",
            millions(cost.nonzero),
            delta=f"{cost.nonzero / baseline_cost.nonzero:.1%} left",
            delta_color="off",
            delta_arrow="off",
            help="That are there and not zero.",
        )
        row.metric(
            "MACs",
            millions(cost.macs),
            delta=f"{cost.macs / baseline_cost.macs:.1%} left",
            delta_color="off",
            delta_arrow="off",
            help="Multiply-accumulates executed for one image. Zeros in a dense tensor are "
            "multiplied too.",
        )
        st.caption(
            _interval(evaluation, source) + NEW_LINE + _compared(reading),
            help=_provenance(reading.result) if reading else None,
        )


def _accuracy(evaluation: Evaluation | None, change: str, test: PairedTest | None) -> None:
    is_sure = test is not None and test.significant
    st.metric(
        "Accuracy",
        f"{evaluation.accuracy:.1%}" if evaluation else "–",
        delta=change,
        delta_color="normal" if is_sure else "off",
        delta_arrow="auto" if is_sure else "off",
        help="The difference is to the baseline, on the same images; grey where these images "
        "cannot tell the two apart."
        if evaluation
        else None,
    )


def _change(evaluation: Evaluation | None, reading: Reading | None) -> str:
    """The difference to the baseline, or how far the evaluation is."""
    if evaluation is None:
        return "not measured"
    if reading is None:
        return f"{evaluation.seen:,} of {evaluation.total:,} …"
    if reading.reference is None:
        return "not compared"
    points = round(100 * (evaluation.accuracy - reading.reference.evaluation.accuracy), 1)
    return f"{points + 0.0:+.1f} points"  # -0.0 is no number for a person


def _interval(evaluation: Evaluation | None, source: str) -> str:
    if evaluation is None:
        return "\u00a0"
    low, high = evaluation.interval
    return f"95% interval {low:.1%} to {high:.1%} · {evaluation.seen:,} images · {source}"


def _compared(reading: Reading | None) -> str:
    """What the paired test says, or why there is none: always a line, so that nothing jumps."""
    if reading is None:
        return "\u00a0"
    test = reading.test
    if test is None:
        precision = reading.result.key.precision
        return f"Not compared: the baseline was not measured in {precision} on these images"
    if not test.lost and not test.gained:
        return "The same images right as with the baseline"
    flips = f"{test.lost:,} {'image' if test.lost == 1 else 'images'} lost, {test.gained:,} gained"
    if test.significant:
        return f"{flips} (p\u00a0{_p_value(test.p_value)})"
    return f"{flips}: not told apart from the baseline"


def _provenance(result: Result) -> str:
    """Where a number comes from, for the tooltip."""
    origin = result.origin
    how = f"in {result.key.precision} on {origin.device}, with {origin.versions}"
    when = origin.date[:10]
    where = f"one that ships, from {origin.file}" if origin.file else "of this machine"
    return f"This result is {where}. Measured on {when} {how}{_images(result)}."


def _images(result: Result) -> str:
    copy = KNOWN_COPIES.get(result.key.data)
    return f", on {copy}" if copy else ""


def _p_value(p_value: float) -> str:
    return "<\u00a00.001" if p_value < 0.001 else f"=\u00a0{p_value:.3f}"


def cost_table(costs: dict[str, Cost], compressed: dict[str, int]) -> None:
    """Every cost of the baseline (the first entry) and both methods, in full."""
    rows = {
        "Parameters there": [f"{cost.parameters:,}" for cost in costs.values()],
        "of them not zero": [f"{cost.nonzero:,}" for cost in costs.values()],
        "MACs executed": [f"{cost.macs / 1e6:,.1f} M" for cost in costs.values()],
        "MACs on non-zeros (theoretical)": [
            f"{cost.macs_nonzero / 1e6:,.1f} M" for cost in costs.values()
        ],
        "File, fp16": [f"{cost.bytes / 1e6:.2f} MB" for cost in costs.values()],
        "File, compressed": [
            f"{compressed[name] / 1e6:.2f} MB" if name in compressed else "…" for name in costs
        ],
    }
    st.table(pd.DataFrame.from_dict(rows, orient="index", columns=list(costs)))
    st.caption(
        "Zeros neither shrink a dense file nor speed up a dense network: fine-grained pruning "
        "saves bytes only where the file is compressed, and its smaller MAC count is what a kernel "
        "that skips every zero would execute. Channel removal makes the tensors themselves smaller."
    )


def millions(number: float) -> str:
    """Such as 7.82 M."""
    return f"{number / 1e6:.2f} M" if number < 1e8 else f"{number / 1e6:.0f} M"
