"""Presets of the sidebar: the original study, the textbook way, and the best settings found."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from core.specs.vocabulary import NO_RECOVERY, RECOVERIES
from core.studies.shipped_grid import FIVE_EPOCHS, FULL
from core.ui.sidebar.settings import baseline_names, current_dataset, is_studied

USUAL = {
    "dataset": "CIFAR-10",
    "match": "ratio",
    "recovery": RECOVERIES[NO_RECOVERY].label,
    "weights": "uniform",
    "allocation": "uniform",
    "channels": "removed",
    "scope": "all",
    "criterion": "L1",
    "weight_criterion": "as for channels",
    "ceiling": "no limit",
    "floor": "nothing",
    "multiple": "1",
}


@dataclass(frozen=True)
class Preset:
    name: str
    sidebar: Mapping[str, str]  # control key -> selected option


BEST = Preset(
    "Best without training",
    {
        **USUAL,
        "baseline": FULL,
        # The winner of `python -m core choose --recovery reconstruct` for channels. For weights
        # many settings are as good: these need no training images to choose which ones go.
        "recovery": RECOVERIES["reconstruct"].label,
        "weights": "global",
        "allocation": "global",
        "criterion": "Taylor",
        "ceiling": "75%",
    },
)
PRESETS = (
    Preset("As in the study", {**USUAL, "baseline": FIVE_EPOCHS, "channels": "masked"}),
    Preset("Textbook", {**USUAL, "baseline": FULL}),
    BEST,
)


def preset_control() -> None:
    """Draw the presets: show which one the sidebar matches, and apply the one that is clicked.

    They are of the study's data set, and are drawn only for that one.
    Call it after the other controls, whose values it compares, in a container above them.
    """
    if not is_studied(current_dataset()):
        return
    here = baseline_names(USUAL["dataset"])
    offered = [preset for preset in PRESETS if preset.sidebar["baseline"] in here]
    if not offered:  # what they say was measured on baselines that are not here
        return
    now = next((preset.name for preset in offered if is_set(preset)), None)
    st.session_state["preset"] = now
    st.pills(
        "Preset",
        [preset.name for preset in offered],
        key="preset",
        on_change=_apply,
        help="As in the study: 5 epochs of training, filters zeroed in place in each layer, "
        "no recovery. Textbook: the well-trained baseline, the same ratio for every "
        "layer or group, by L1 norm, channels removed. Best without training: the allocation, "
        "groups, ceiling and criterion with the best accuracy on 2,000 test images, averaged over "
        "30, 50 and 70% of the parameters removed, reconstructed. At a single ratio, other "
        "settings may do better.",
        width="stretch",
    )


def is_set(preset: Preset) -> bool:
    """Return whether the sidebar's controls are set as in the preset."""
    return all(st.session_state.get(key) == option for key, option in preset.sidebar.items())


def _apply() -> None:
    """Set the controls to the chosen preset; as a callback it runs before they are drawn."""
    chosen = next((p for p in PRESETS if p.name == st.session_state["preset"]), None)
    if chosen is None:  # the preset in use was clicked again
        return
    for key, option in chosen.sidebar.items():
        st.session_state[key] = option
