"""Settings with a name: what the study did, what the textbook does, what works best."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from core.specs.vocabulary import NO_RECOVERY, RECOVERIES
from core.studies.shipped_grid import FIVE_EPOCHS, FULL
from core.ui.sidebar.settings import baseline_names

USUAL = {
    "dataset": "CIFAR-10",
    "match": "ratio",
    "recovery": RECOVERIES[NO_RECOVERY].label,
    "weights": "uniform",
    "allocation": "uniform",
    "channels": "removed",
    "scope": "all",
    "criterion": "L1",
}


@dataclass(frozen=True)
class Preset:
    name: str
    sidebar: Mapping[str, str]  # each control's key and its option


BEST = Preset(
    "Best without training",
    {
        **USUAL,
        "baseline": FULL,
        "recovery": RECOVERIES["bn"].label,
        # As `python -m core choose` ranks them: l1 and global for weights, and for channels:
        "weights": "global",
        "allocation": "global",
        "scope": "internal",
        "criterion": "BN γ",
    },
)
PRESETS = (
    Preset("As in the study", {**USUAL, "baseline": FIVE_EPOCHS, "channels": "masked"}),
    Preset("Textbook", {**USUAL, "baseline": FULL}),
    BEST,
)


def preset_control() -> None:
    """Shows which preset the sidebar is set to, if any, and sets it to another.

    Drawn after the sidebar's other controls, in a place above them.
    """
    now = next((preset.name for preset in PRESETS if is_set(preset)), None)
    st.session_state["preset"] = now
    st.pills(
        "Preset",
        [preset.name for preset in PRESETS],
        key="preset",
        on_change=_apply,
        help="As in the study: 5 epochs of training, filters zeroed in place layer by layer, "
        "nothing done afterwards. Textbook: the well-trained baseline, the same part of every "
        "layer or group by L1 norm, channels really removed. Best without training: the "
        "allocations, groups and criterion that kept most on 2,000 test images, on average with "
        "30, 50 and 70% of the parameters removed, and batch-norm recalibrated. At a given "
        "ratio others may keep more.",
        width="stretch",
    )


def is_set(preset: Preset) -> bool:
    """Whether the sidebar says just what the preset does."""
    return all(st.session_state.get(key) == option for key, option in preset.sidebar.items())


def _apply() -> None:
    """Runs before the controls are drawn, which is when they can be set."""
    chosen = next((p for p in PRESETS if p.name == st.session_state["preset"]), None)
    if chosen is None:  # the preset in use was clicked again
        return
    for key, option in chosen.sidebar.items():
        if key != "baseline" or option in baseline_names("CIFAR-10"):
            st.session_state[key] = option
