"""The view By hand: set the ratio of single layers or groups of channels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd
import streamlit as st

from core.networks.layers import filters
from core.pruning.matching import HIGHEST_RATIO
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES, METHODS
from core.studies.sensitivity import units
from core.sweeps.known import BASELINE
from core.sweeps.reading import Reading
from core.ui.bench.workbench import Workbench
from core.ui.layers.sensitivity import losses_of
from core.ui.parts.cards import method_card
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.progress import measured
from core.ui.parts.record import Rows, note
from core.ui.parts.texts import show_title

MOST_IN_SIGHT = 25  # rows of the table; a longer one scrolls
PIXELS_OF_A_LONG_TABLE = 700
TOLERABLE_LOSS = 0.01  # of accuracy, when one layer is pruned alone


@dataclass
class TableDefaults:
    """The initial ratios of the table. A new version makes Streamlit create a new widget."""

    ratios: dict[str, float] = field(default_factory=dict)
    version: int = 0


def show_by_hand(bench: Workbench) -> None:
    """Draw a table of ratios, and compare the resulting network with the slider's ratio."""
    show_title("**Ratios by hand**: empty rows use the slider's ratio")
    name = st.segmented_control(
        "Method", list(GRANULARITIES), default=GRANULARITIES[0], required=True, key="by_hand"
    )
    spec = bench.specs()[name]
    left, right = st.container(key="cards_by_hand").columns([4, 5])
    with left:
        own = replace(spec, overrides=tuple(_table(bench, name, spec).items()))
    with right:
        _cards(bench, {"The slider's ratio": spec, "Ratios by hand": own})


def _table(bench: Workbench, name: str, spec: PruningSpec) -> dict[str, float]:
    """Draw the table editor; return its ratios by layer or group."""
    key = f"own_{name}"
    defaults: TableDefaults = st.session_state.setdefault(key, TableDefaults())
    reset, copy = st.columns(2)
    reset.button(
        "Reset",
        icon=":material/restart_alt:",
        width="stretch",
        on_click=_set_defaults,
        args=(key, {}),
    )
    losses = losses_of(bench, spec)
    copy.button(
        "From sensitivity",
        icon=":material/content_copy:",
        width="stretch",
        disabled=not len(losses),
        on_click=_set_defaults,
        args=(key, tolerable_ratios(losses)),
        help="Sets each one to the highest ratio that cost less than 1 point when it was pruned "
        "alone, in the scan under Sensitivity.",
    )
    names = [
        unit
        for unit in units(bench.checkpoint.network, spec.method, spec.criterion)
        if _in_scope(bench, spec, unit)
    ]
    frame = pd.DataFrame(
        {
            "name": names,
            "size": [_size(bench, spec, unit) for unit in names],
            "ratio": [defaults.ratios.get(unit) for unit in names],
        }
    ).astype({"ratio": "float64"})
    edited = st.data_editor(
        frame,
        key=f"{key}_{defaults.version}",
        hide_index=True,
        height="content" if len(names) <= MOST_IN_SIGHT else PIXELS_OF_A_LONG_TABLE,
        placeholder="–",
        disabled=["name", "size"],
        column_config={
            "name": METHODS[spec.method].unit.capitalize(),
            "size": st.column_config.NumberColumn(
                "Weights" if METHODS[spec.method].prunes_weights else "Channels", format="localized"
            ),
            "ratio": st.column_config.NumberColumn(
                "Own ratio",
                min_value=0.0,
                max_value=HIGHEST_RATIO,
                step=0.01,
                format="%.2f",
                help="0 prunes nothing here; an empty cell uses the slider's ratio.",
            ),
        },
    )
    chosen = edited[edited["ratio"].notna()]
    if len(chosen):
        note(key, Rows("Ratios by hand", chosen))
    rows = zip(edited["name"], edited["ratio"], strict=True)
    return {unit: round(float(ratio), 2) for unit, ratio in rows if not pd.isna(ratio)}


def tolerable_ratios(losses: pd.DataFrame) -> dict[str, float]:
    """Return for each unit the largest ratio up to which every loss is below TOLERABLE_LOSS.

    The ratio is 0 if there is none. Columns of `losses`: unit, ratio, lost (0 to 1).
    """
    found = {}
    for unit, of_unit in losses.sort_values("ratio").groupby("unit", sort=False):
        is_tolerable = (of_unit["lost"] < TOLERABLE_LOSS).cummin()
        found[str(unit)] = float(of_unit["ratio"].where(is_tolerable, 0.0).max())
    return found


def _set_defaults(key: str, ratios: dict[str, float]) -> None:
    st.session_state[key] = TableDefaults(ratios, st.session_state[key].version + 1)


def _in_scope(bench: Workbench, spec: PruningSpec, unit: str) -> bool:
    groups = {group.name: group for group in bench.checkpoint.network.groups}
    return not METHODS[spec.method].prunes_groups or groups[unit].is_in(spec.scope)


def _size(bench: Workbench, spec: PruningSpec, unit: str) -> int:
    network = bench.checkpoint.network
    if METHODS[spec.method].prunes_groups:
        return next(group.size for group in network.groups if group.name == unit)
    layer = network.layers[unit]
    if METHODS[spec.method].prunes_weights:
        return layer.weight.numel()
    return len(filters(layer))


def _cards(bench: Workbench, specs: Mapping[str, PruningSpec]) -> None:
    """Draw a card for each spec; measure missing results if the images are available."""
    known, recovery = bench.known, bench.settings.recovery
    slots = {name: st.empty() for name in specs}
    progress = st.empty()
    readings: dict[str, Reading | None] = {}
    for name, spec in specs.items():
        point = Point(spec, recovery)
        reading = known.read(point)
        if reading is None and known.images is not None:
            reading = measured(progress, f"Evaluating: {name.lower()}", known.measure(point))
        if reading is not None and known.lacks_reference(reading):
            measured(progress, "Evaluating the baseline", known.measure_on_local_images(BASELINE))
            reading = replace(reading, reference=known.reference(reading.result))
        readings[name] = reading
        cost = reading.result.cost if reading else bench.cost(spec)
        method_card(slots[name], name, spec, recovery, cost, bench.cost(None), reading)
    if not all(readings.values()):
        explain_missing_images(known.missing_images_reason)
