"""The heatmaps of all layers at all ratios, and the choice of a layer for the views below."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from core import charts
from core.formatting import listed
from core.networks.groups import Group
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import CHANNELS, GRANULARITIES, METHODS
from core.ui.bench.resources import sparsity_frame
from core.ui.bench.workbench import Workbench
from core.ui.layers.rows import FOLDED, Rows, foldable, rows_of
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.plain import plain
from core.ui.parts.record import Remark, note
from core.ui.parts.texts import show_remark

CHART = "overview"
PICKED = "picked_layer"
NEARLY_ALL = 0.9  # of a layer's weights
MOST_NAMES = 3


def show_overview(bench: Workbench) -> str:
    """Draw both heatmaps with a summary; return the selected layer."""
    settings, specs = bench.settings, bench.specs()
    frames = {
        name: sparsity_frame(bench.file, settings.spec(name, 0.0)).assign(method=name)
        for name in GRANULARITIES
    }
    together = pd.concat(frames.values(), ignore_index=True)
    layers = list(dict.fromkeys(together["layer"]))
    sections = foldable(layers)
    slot = st.container(gap="xsmall")
    legend = (
        "**How much of each layer is removed** at every ratio. White frame: the current ratio. "
        "Orange: the selected layer. Grey bars: weights per layer."
        + (" A row with (3) stands for 3 layers together; a click unfolds it." if sections else "")
    )
    slot.markdown(f":small[{legend}]")
    note(CHART, Remark(legend))
    words, chosen = st.columns([5, 3], vertical_alignment="bottom")
    # Draw the select boxes before the chart, which marks the selected layer.
    unfolded = FOLDED
    if sections:
        unfolded = chosen.selectbox(
            "Unfold", [FOLDED, *sections], key="unfold", bind="query-params"
        )
    selected: str = chosen.selectbox(
        "Layer to look at",
        layers,
        key="layer",
        bind="query-params",
        help="Clicking a row of the heatmaps also selects its layer. Typing searches the names.",
    )
    rows = rows_of(layers, unfolded)
    drawing = charts.layers_overview(
        rows.fold(together),
        rows.stages,
        {name: spec.ratio for name, spec in specs.items()},
        rows.of(selected).key,
        PICKED,
        rows.labels,
    )
    with slot:
        show_chart(
            drawing,
            CHART,
            on_select=lambda: _select_clicked(rows),
            selection=PICKED,
            alt="Heatmaps of the sparsity that both pruning methods reach in each layer at each "
            "ratio, with the number of weights of each layer between them.",
        )
    with words:
        for name, spec in specs.items():
            now = sparsity_frame(bench.file, settings.spec(name, 0.0), (spec.ratio,))
            losses = plain(describe_losses(now))
            show_remark(f"**{name}** at {spec.ratio:.2f}: {losses}{_reason(spec)}")
        if no_effect := scope_note(bench.checkpoint.network.groups, specs[CHANNELS]):
            show_remark(no_effect)
        _show_notes(bench, specs.values())
        offer_all({"sparsity": (drawing, together)})
    return selected


def _show_notes(bench: Workbench, specs: Iterable[PruningSpec]) -> None:
    """Show what cannot be pruned, and why."""
    reasons = dict.fromkeys(each for spec in specs for each in bench.pruned(spec).notes)
    if reasons:
        with st.expander(f"What cannot be pruned, and why ({len(reasons)})"):
            for reason in reasons:
                st.text(reason)


def _reason(spec: PruningSpec) -> str:
    """Explain the layers' sparsity if all of them are pruned by the same ratio."""
    if spec.allocation != "uniform" or spec.ratio == 0 or spec.overrides:
        return ""
    if not METHODS[spec.method].prunes_groups:
        return " Uniform allocation uses the same ratio in every layer; *global* does not."
    if spec.scope != "all":
        return ""
    stays = 1 - spec.ratio
    return f" Where outputs and inputs are both removed: 1 − {stays:.2f}² = {1 - stays**2:.0%}."


def scope_note(groups: Iterable[Group], spec: PruningSpec) -> str:
    """Say where the scope *internal* makes no difference, or leaves nothing to prune; "" if not."""
    if spec.scope != "internal" or not METHODS[spec.method].prunes_groups:
        return ""
    residual = [group.is_residual for group in groups]
    if not any(residual):
        return "This network has no addition that couples channels, so *internal* is *all*."
    if all(residual):
        return "Every group of this network is coupled, so *internal* leaves nothing to prune."
    return ""


def describe_losses(now: pd.DataFrame) -> str:
    """Describe which layers of a pruned network lost most.

    Columns of `now`: layer, sparsity (0 to 1), channels, channels_left.
    """
    collapsed = now[(now["channels_left"] == 1) & (now["channels"] > 1)]
    sparse = now[(now["sparsity"] > NEARLY_ALL) & ~now["layer"].isin(collapsed["layer"])]
    found = []
    if len(collapsed):
        found.append(f"{_names(collapsed)} collapsed to a single channel")
    if len(sparse):
        found.append(f"{_names(sparse)} lost more than {NEARLY_ALL:.0%} of the weights")
    if found:
        return "; ".join(found) + "."
    sparsities = dict(zip(now["layer"], now["sparsity"], strict=True))
    most = max(sparsities, key=sparsities.__getitem__)
    if sparsities[most] == 0:
        return "no layer lost any weights."
    if sparsities[most] - min(sparsities.values()) < 0.01:
        return f"every layer lost {sparsities[most]:.0%} of its weights."
    return f"{most} lost most, {sparsities[most]:.0%} of its weights."


def _names(layers: pd.DataFrame) -> str:
    names = list(layers["layer"])
    if len(names) <= MOST_NAMES:
        return listed(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more layers"


def _select_clicked(rows: Rows) -> None:
    """Select the clicked layer, or unfold the clicked block and select its first one.

    As a callback it runs before the select boxes are drawn.
    """
    picked = st.session_state[CHART]["selection"].get(PICKED, [])
    row = next((row for row in rows.rows if picked and row.key == picked[0]["layer"]), None)
    if row is None:
        return
    st.session_state["layer"] = row.layers[0]
    if len(row.layers) > 1:
        st.session_state["unfold"] = row.section
