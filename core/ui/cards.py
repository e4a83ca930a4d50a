"""The numbers of one network, as people read them."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.cost import Cost
from core.pruning import PruningSpec
from core.statistics import mcnemar
from core.ui.measuring import Measured

NEW_LINE = "  \n"  # Markdown's
SHORT = {"fine": "zeroed", "channel": "removed", "channel-mask": "masked"}
WHAT_HAPPENS = {
    "fine": "Single weights are set to zero; every tensor keeps its shape.",
    "channel": "Whole channels are taken out and every layer that has them becomes narrower; "
    "what a residual addition couples goes together.",
    "channel-mask": "Whole filters are zeroed in place, each layer for itself, and the batch-norm "
    "behind them is left as it was.",
}


def method_card(
    slot: DeltaGenerator,
    name: str,
    spec: PruningSpec,
    cost: Cost,
    baseline_cost: Cost,
    measured: Measured | None,
    baseline: Measured | None,
    can_measure: bool,
) -> None:
    """Fill `slot` with one method's numbers; drawn again as `measured` becomes more certain."""
    with slot.container(border=True):
        st.markdown(
            f"**{name}**, {SHORT[spec.method]} · ratio {spec.ratio:.2f}",
            help=WHAT_HAPPENS[spec.method],
        )
        accuracy, parameters, macs = st.columns([5, 4, 4])
        with accuracy:
            _accuracy(measured, baseline, can_measure)
        parameters.metric(
            "Parameters",
            millions(cost.nonzero),
            delta=f"{cost.nonzero / baseline_cost.nonzero:.1%} left",
            delta_color="off",
            delta_arrow="off",
            help="That are there and not zero.",
        )
        macs.metric(
            "MACs",
            millions(cost.macs),
            delta=f"{cost.macs / baseline_cost.macs:.1%} left",
            delta_color="off",
            delta_arrow="off",
            help="Multiply-accumulates executed for one image. Zeros in a dense tensor are "
            "multiplied too.",
        )
        st.caption(_comparison(measured, baseline, can_measure))


def _accuracy(measured: Measured | None, baseline: Measured | None, can_measure: bool) -> None:
    if measured is None:
        state = "waiting …" if can_measure else "needs the images"
        st.metric("Accuracy", "–", delta=state, delta_color="off", delta_arrow="off")
        return
    evaluation = measured.evaluation
    if baseline is None or not evaluation.is_complete:
        delta, is_sure = f"{evaluation.seen:,} of {evaluation.total:,} …", False
    else:
        points = 100 * (evaluation.accuracy - baseline.evaluation.accuracy)
        delta = f"{points:+.1f} points"
        is_sure = mcnemar(baseline.evaluation.is_right, evaluation.is_right).significant
    st.metric(
        "Accuracy",
        f"{evaluation.accuracy:.1%}",
        delta=delta,
        delta_color="normal" if is_sure else "off",
        delta_arrow="auto" if is_sure else "off",
        help="The difference is to the baseline, on the same images; grey where these images "
        "cannot tell the two apart.",
    )


def _comparison(measured: Measured | None, baseline: Measured | None, can_measure: bool) -> str:
    """The interval, and what a paired test says: always two lines, so that nothing jumps."""
    if measured is None:
        state = "To be evaluated" if can_measure else "Accuracy needs the test images"
        return f"{state}{NEW_LINE}\u00a0"
    evaluation = measured.evaluation
    low, high = evaluation.interval
    interval = f"95 % interval {low:.1%} to {high:.1%}{NEW_LINE}"
    if baseline is None or not evaluation.is_complete:
        return f"{interval}from {evaluation.seen:,} of {evaluation.total:,} test images"
    test = mcnemar(baseline.evaluation.is_right, evaluation.is_right)
    flips = f"{test.lost:,} images lost, {test.gained:,} gained"
    if test.significant:
        return f"{interval}{flips} (p\u00a0{_p_value(test.p_value)})"
    return f"{interval}{flips}: not told apart from the baseline"


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
