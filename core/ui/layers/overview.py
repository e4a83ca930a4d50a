"""The heatmaps of all layers at all ratios, and the choice of a layer for the views below."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from core import charts
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES, METHODS
from core.ui.bench.resources import sparsity_frame
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all

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
    slot = st.container(gap="xsmall")
    slot.markdown(
        ":small[**How much of each layer is removed** at every ratio. White frame: the current "
        "ratio. Orange: the selected layer. Grey bars: weights per layer.]"
    )
    words, chosen = st.columns([5, 3], vertical_alignment="bottom")
    # Draw the select box before the chart, which marks the selected layer.
    selected: str = chosen.selectbox(
        "Layer to look at",
        layers,
        key="layer",
        bind="query-params",
        help="Clicking a row of the heatmaps also selects its layer.",
    )
    drawing = charts.layers_overview(
        together,
        stages_of(layers),
        {name: spec.ratio for name, spec in specs.items()},
        selected,
        PICKED,
    )
    with slot:
        show_chart(
            drawing,
            CHART,
            on_select=_select_clicked,
            selection=PICKED,
            alt="Heatmaps of the sparsity that both pruning methods reach in each layer at each "
            "ratio, with the number of weights of each layer between them.",
        )
    with words:
        for name, spec in specs.items():
            now = sparsity_frame(bench.file, settings.spec(name, 0.0), (spec.ratio,))
            st.caption(f"**{name}** at {spec.ratio:.2f}: {describe_losses(now)}{_reason(spec)}")
        _show_notes(bench, specs.values())
        offer_all({"sparsity": (drawing, together)})
    return selected


def _show_notes(bench: Workbench, specs: Iterable[PruningSpec]) -> None:
    """Show what cannot be pruned, and why."""
    notes = dict.fromkeys(note for spec in specs for note in bench.pruned(spec).notes)
    if notes:
        with st.expander(f"What cannot be pruned, and why ({len(notes)})"):
            for note in notes:
                st.text(note)


def _reason(spec: PruningSpec) -> str:
    """Explain the layers' sparsity if all of them are pruned by the same ratio."""
    if spec.allocation != "uniform" or spec.ratio == 0 or spec.overrides:
        return ""
    if not METHODS[spec.method].prunes_groups:
        return " Uniform allocation uses the same ratio in every layer; *global* does not."
    if spec.scope != "all":
        return ""
    stays = 1 - spec.ratio
    return f" Outputs and inputs are both removed: 1 − {stays:.2f}² = {1 - stays**2:.0%}."


def stages_of(layers: list[str]) -> dict[str, list[str]]:
    """Group layers by the first part of their names."""
    stages: dict[str, list[str]] = {}
    for layer in layers:
        stages.setdefault(layer.split(".")[0], []).append(layer)
    return stages


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
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more layers"


def _select_clicked() -> None:
    """Select the clicked layer; as a callback it runs before the select box is drawn."""
    picked = st.session_state[CHART]["selection"].get(PICKED, [])
    if picked:
        st.session_state["layer"] = picked[0]["layer"]
