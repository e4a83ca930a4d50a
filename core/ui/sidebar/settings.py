"""The controls in the sidebar, which all pages share and the URL keeps."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core.baselines.shelf import by_name, default_baseline
from core.pruning.matching import HIGHEST_RATIO
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import (
    ALLOCATIONS,
    CHANNELS,
    CRITERIA,
    DATASETS,
    FINE_GRAINED,
    METHODS,
    RECOVERIES,
    SCOPES,
)
from core.ui.app.navigation import restart_app

LARGEST_SUBSET = 10_000
UNKNOWN = "unknown_baseline"  # in the session: what the address asked for in vain

# What a control offers, which the URL shows too, and what core calls it. The first is the default.
DATASET_OPTIONS = {each.label: name for name, each in DATASETS.items()}
CRITERION_OPTIONS = {each.label: name for name, each in CRITERIA.items()}
WEIGHT_ALLOCATIONS = {ALLOCATIONS[name].label: name for name in METHODS["fine"].allocations}
CHANNEL_ALLOCATIONS = {ALLOCATIONS[name].label: name for name in METHODS["channel"].allocations}
SCOPE_OPTIONS = {each.label: name for name, each in SCOPES.items()}
CHANNEL_METHODS = {
    each.short: name for name, each in METHODS.items() if each.granularity == CHANNELS
}
RECOVERY_OPTIONS = {each.label: name for name, each in RECOVERIES.items()}
MATCHES = {"ratio": "ratio", "parameters left": "parameters"}


@dataclass(frozen=True)
class Settings:
    """What the sidebar says, checked: values from a URL can be anything the widgets accept."""

    dataset: str
    baseline: Path | None  # None where the data set has no baseline yet
    subset: int
    seed: int
    ratio: float  # in hundredths, 0 to 0.95
    match: str  # "ratio" or "parameters": what the two methods have in common
    recovery: Recovery
    weight_allocation: str  # of fine-grained pruning
    criterion: str
    channel_allocation: str
    scope: str
    channel_method: str  # "channel" or "channel-mask"

    def point(self, method_name: str, ratio: float) -> Point:
        """One side of the comparison at `ratio`, after the recovery that was chosen."""
        return Point(self.spec(method_name, ratio), self.recovery)

    def spec(self, method_name: str, ratio: float) -> PruningSpec:
        """The pruning of one side of the comparison at `ratio`."""
        if method_name == FINE_GRAINED:
            # What scores channels only leaves single weights to their magnitude.
            criterion = self.criterion if self.criterion in METHODS["fine"].criteria else "l1"
            spec = PruningSpec("fine", ratio, criterion, self.weight_allocation, seed=self.seed)
        else:
            spec = PruningSpec(
                self.channel_method,
                ratio,
                self.criterion,
                self.channel_allocation,
                self.scope,
                self.seed,
            )
        return spec.canonical()


def shared_controls() -> None:
    """Draw the sidebar's controls. Every widget is bound to a query parameter of its key's name."""
    by_parameters = st.session_state.get("match") == "parameters left"
    st.slider(
        "Parameters removed" if by_parameters else "Pruning ratio",
        min_value=0.0,
        max_value=HIGHEST_RATIO,
        value=0.3,
        step=0.01,
        key="ratio",
        bind="query-params",
        help=_RATIO_HELP,
    )
    _choice("Match the methods by", "match", MATCHES, _MATCH_HELP)
    _choice("After pruning", "recovery", RECOVERY_OPTIONS, _RECOVERY_HELP)
    _choice("Criterion", "criterion", CRITERION_OPTIONS, _CRITERION_HELP)
    with st.expander("Allocation and groups"):
        _choice("Weights: allocation", "weights", WEIGHT_ALLOCATIONS, _WEIGHTS_HELP)
        _choice("Channels: allocation", "allocation", CHANNEL_ALLOCATIONS, _ALLOCATION_HELP)
        _choice("Channels are", "channels", CHANNEL_METHODS, _CHANNELS_HELP)
        _choice("Channel groups", "scope", SCOPE_OPTIONS, _SCOPE_HELP)
    for note in _notes(st.session_state["criterion"], st.session_state["channels"]):
        st.caption(note)
    subset, seed = st.columns([3, 2])
    subset.number_input(
        "Test images",
        min_value=10,
        max_value=LARGEST_SUBSET,
        value=1000,
        step=100,
        key="subset",
        bind="query-params",
        help="How many test images a new setting is evaluated on, drawn evenly from the classes: "
        "more images give narrower intervals and longer waits. Where a result on the whole test "
        "set is stored, that is shown.",
    )
    seed.number_input(
        "Seed",
        min_value=0,
        max_value=9999,
        value=0,
        step=1,
        key="seed",
        bind="query-params",
        help="Of the draw of test images, and of the criterion random.",
    )
    _choice("Data set", "dataset", DATASET_OPTIONS, _DATASET_HELP)
    _baseline_control(DATASET_OPTIONS[st.session_state["dataset"]])


def _baseline_control(dataset: str) -> None:
    """Offer the data set's baselines, the default one first, which is chosen unless told."""
    default = default_baseline(dataset)
    names = sorted(by_name(dataset).items(), key=lambda item: item[1] != default)
    if not names:
        return
    offered = [name for name, _ in names]
    is_new = "baseline" not in st.session_state
    asked = st.query_params.get("baseline", "")  # before the control takes an unknown one out
    st.selectbox(
        "Baseline", offered, key="baseline", bind="query-params", on_change=_forget_unknown
    )
    if is_new and asked and asked not in offered:
        st.session_state[UNKNOWN] = asked


def _forget_unknown() -> None:
    st.session_state.pop(UNKNOWN, None)


def warn_about_unknown_baseline() -> None:
    """Say that the address names a baseline that is not here, until another one is chosen."""
    asked = st.session_state.get(UNKNOWN)
    if asked is None:
        return
    # Nothing of an address is shown but what a file may well be called.
    name = f" `{asked}`" if re.fullmatch(r"[\w.() -]{1,80}", asked, re.ASCII) else ""
    st.warning(
        f"The address asks for a baseline{name} that is not on this machine, or belongs to another "
        f"data set: the numbers are those of `{st.session_state['baseline']}`.",
        icon=":material/link_off:",
    )


def baseline_names(dataset_label: str) -> list[str]:
    """What the control Baseline offers for a data set."""
    return list(by_name(DATASET_OPTIONS[dataset_label]))


def current_settings() -> Settings:
    """What `shared_controls` was set to in this run."""
    require_sidebar()
    state = st.session_state
    dataset = DATASET_OPTIONS[state["dataset"]]
    named = by_name(dataset).get(state.get("baseline", ""))
    return Settings(
        dataset=dataset,
        baseline=named or default_baseline(dataset),
        subset=int(state["subset"]),
        seed=int(state["seed"]),
        ratio=round(float(state["ratio"]), 2),
        **pruning_settings(state.to_dict()),
    )


def pruning_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Settings` from what the controls of these keys are set to."""
    return {
        "match": MATCHES[options["match"]],
        "recovery": Recovery.named(RECOVERY_OPTIONS[options["recovery"]]),
        "weight_allocation": WEIGHT_ALLOCATIONS[options["weights"]],
        "criterion": CRITERION_OPTIONS[options["criterion"]],
        "channel_allocation": CHANNEL_ALLOCATIONS[options["allocation"]],
        "scope": SCOPE_OPTIONS[options["scope"]],
        "channel_method": CHANNEL_METHODS[options["channels"]],
    }


def require_sidebar() -> None:
    """Start over with the whole app where the page was started alone."""
    if "dataset" not in st.session_state:
        restart_app()


def baseline_name(baseline: Path, dataset: str) -> str:
    """What the sidebar and addresses call one of the data set's baselines."""
    return next(name for name, path in by_name(dataset).items() if path == baseline)


def select_baseline(dataset: str, baseline: Path) -> None:
    """Set the sidebar to a baseline; only from a callback, before the widgets are drawn."""
    st.session_state["dataset"] = DATASETS[dataset].label
    st.session_state["baseline"] = baseline_name(baseline, dataset)
    _forget_unknown()


def _choice(label: str, key: str, options: dict[str, str], help_text: str) -> None:
    st.segmented_control(
        label,
        list(options),
        default=next(iter(options)),
        required=True,
        key=key,
        bind="query-params",
        help=help_text,
        width="stretch",
    )


def _notes(criterion: str, channels: str) -> list[str]:
    """What the present settings do not mean for one of the methods."""
    notes = []
    if criterion == "L2":
        notes.append("For single weights, L1 and L2 give the same ranking.")
    if criterion == "BN γ":
        notes.append("BN γ scores channels; single weights are scored by L1.")
    if channels == "masked":
        notes.append(
            "Masked filters go layer by layer: allocation and groups do not apply to them."
        )
    return notes


_RATIO_HELP = (
    "The part that each method removes: of single weights, or of every group's channels. "
    "Matched by parameters left, each method gets the ratio that removes this part of them all."
)
_CRITERION_HELP = "How a weight or a channel is scored; the lowest scores go first."
_DATASET_HELP = "The digits are scikit-learn's: small, and always at hand."
_RECOVERY_HELP = (
    "Which result the cards show; the chart shows both. Recalibrating estimates every "
    "batch-norm's statistics again from up to 2,000 training images, without any gradient."
)
_MATCH_HELP = (
    "At the same ratio channel pruning removes far more parameters, because a layer loses outputs "
    "and inputs: near 1-(1-r)². Matched by parameters, both leave networks of the same size."
)
_CHANNELS_HELP = (
    "Removed: the network really becomes narrower, and channels that a residual addition couples "
    "go together. Masked: filters are zeroed in place, each layer for itself."
)
_ALLOCATION_HELP = (
    "Uniform: every layer or group gives up the same part. Global: one threshold for all, "
    "so that some give up more."
)
_WEIGHTS_HELP = (
    f"{_ALLOCATION_HELP} LAMP: one threshold too, for scores that protect each layer's last "
    "weights. ERK: the larger a layer, the sparser, by its shape alone."
)
_SCOPE_HELP = (
    "All groups, or the internal ones only: then the residual streams between the blocks "
    "keep their width."
)
