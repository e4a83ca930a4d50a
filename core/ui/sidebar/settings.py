"""The sidebar's controls, shared by all pages and kept in the URL."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core.baselines.shelf import by_name, default_baseline
from core.data.folder import name_of
from core.data.loading import configured_images
from core.errors import InputError
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
    data_set_name,
)
from core.ui.app.navigation import restart_app

LARGEST_SUBSET = 10_000
STUDIED = "cifar10"  # the data set of the study and of the shipped baselines
UNKNOWN = "unknown_baseline"  # session key: a baseline named in the URL that does not exist

# Option as shown in the control and the URL -> name in core. The first option is the default.
CRITERION_OPTIONS = {each.label: name for name, each in CRITERIA.items()}
WEIGHT_CRITERIA = {
    "as for channels": "",
    **{CRITERIA[name].label: name for name in METHODS["fine"].criteria if name != "l2"},
}
WEIGHT_ALLOCATIONS = {ALLOCATIONS[name].label: name for name in METHODS["fine"].allocations}
CHANNEL_ALLOCATIONS = {ALLOCATIONS[name].label: name for name in METHODS["channel"].allocations}
SCOPE_OPTIONS = {each.label: name for name, each in SCOPES.items()}
CHANNEL_METHODS = {
    each.short: name for name, each in METHODS.items() if each.granularity == CHANNELS
}
RECOVERY_OPTIONS = {each.label: name for name, each in RECOVERIES.items()}
CEILINGS = {"no limit": 1.0, **{f"{part}%": part / 100 for part in (95, 90, 85, 80, 75, 70, 60)}}
FLOORS = {"nothing": 0.0, **{f"{part}% of the ratio": part / 100 for part in (25, 50, 75)}}
MULTIPLES = {str(number): number for number in (1, 4, 8, 16)}
MATCHES = {"ratio": "ratio", "parameters left": "parameters"}


@dataclass(frozen=True)
class Settings:
    """The validated settings of the sidebar."""

    dataset: str
    baseline: Path | None  # None where the data set has no baseline yet
    subset: int
    seed: int
    ratio: float  # in hundredths, 0 to 0.95
    match: str  # "ratio" or "parameters": what is equal for both methods
    recovery: Recovery
    weight_allocation: str  # of fine-grained pruning
    weight_criterion: str
    criterion: str  # for channels
    channel_allocation: str
    scope: str
    channel_method: str  # "channel", "channel-mask" or "hybrid"
    rest_ratio: float  # of hybrid: of the weights that are left
    ceiling: float  # where layers or groups compete
    floor: float
    round_to: int

    def point(self, method_name: str, ratio: float) -> Point:
        """Return one side of the comparison at `ratio`, with the chosen recovery."""
        return Point(self.spec(method_name, ratio), self.recovery)

    def spec(self, method_name: str, ratio: float) -> PruningSpec:
        """Return the pruning spec of one side of the comparison at `ratio`."""
        if method_name == FINE_GRAINED:
            spec = PruningSpec(
                "fine",
                ratio,
                usable("fine", self.weight_criterion),
                self.weight_allocation,
                seed=self.seed,
                floor=self.floor,
                ceiling=self.ceiling,
            )
        else:
            spec = PruningSpec(
                self.channel_method,
                ratio,
                usable(self.channel_method, self.criterion),
                self.channel_allocation,
                self.scope,
                self.seed,
                floor=self.floor,
                ceiling=self.ceiling,
                round_to=self.round_to,
                rest_ratio=self.rest_ratio,
            )
        return spec.canonical()


def zeroes_rest(channels: str) -> bool:
    """Return whether an option of the control Channels zeroes weights of what is left."""
    return METHODS[CHANNEL_METHODS[channels]].zeroes_rest


def usable(method: str, criterion: str) -> str:
    """Return a criterion, or L1 where a method cannot use it."""
    return criterion if criterion in METHODS[method].criteria else "l1"


def shared_controls() -> None:
    """Draw the sidebar's controls, each bound to the query parameter named like its key."""
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
    st.radio(
        "After pruning",
        list(RECOVERY_OPTIONS),
        key="recovery",
        bind="query-params",
        help=_RECOVERY_HELP,
    )
    _list("Criterion", "criterion", CRITERION_OPTIONS, _CRITERION_HELP)
    with st.expander("Allocation and groups"):
        _list("Weights: criterion", "weight_criterion", WEIGHT_CRITERIA, _WEIGHT_CRITERION_HELP)
        _choice("Weights: allocation", "weights", WEIGHT_ALLOCATIONS, _WEIGHTS_HELP)
        _choice("Channels: allocation", "allocation", CHANNEL_ALLOCATIONS, _ALLOCATION_HELP)
        _choice("Channels are", "channels", CHANNEL_METHODS, _CHANNELS_HELP)
        st.number_input(
            "Hybrid: of the weights left",
            min_value=0.0,
            max_value=HIGHEST_RATIO,
            value=0.5,
            step=0.05,
            format="%.2f",
            key="rest",
            bind="query-params",
            disabled=not zeroes_rest(st.session_state["channels"]),
            help=_REST_HELP,
        )
        _choice("Channel groups", "scope", SCOPE_OPTIONS, _SCOPE_HELP)
        _list("None loses more than", "ceiling", CEILINGS, _CEILING_HELP)
        _list("Each loses at least", "floor", FLOORS, _FLOOR_HELP)
        _choice("Channels left, a multiple of", "multiple", MULTIPLES, _MULTIPLE_HELP)
    for note in _notes(st.session_state.to_dict()):
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
        help="Number of test images for new measurements, from each class in proportion. "
        "More images give narrower intervals but take longer. If a result on the whole test "
        "set is stored, that one is shown.",
    )
    seed.number_input(
        "Seed",
        min_value=0,
        max_value=9999,
        value=0,
        step=1,
        key="seed",
        bind="query-params",
        help="Seed for drawing the test images and for the criterion random.",
    )
    st.selectbox(
        "Data set",
        list(dataset_options()),
        key="dataset",
        bind="query-params",
        help=_DATASET_HELP,
    )
    _baseline_control(current_dataset())


def dataset_options() -> dict[str, str]:
    """Return the data sets by label, with the folder of own images if one is configured."""
    names = list(DATASETS)
    images = configured_images()
    if images is not None:
        with suppress(InputError):  # a folder without a name
            names.append(name_of(images))
    return {data_set_name(name).label: name for name in names}


def current_dataset() -> str:
    """Return the data set that `shared_controls` has in this run."""
    require_sidebar()
    return dataset_options()[st.session_state["dataset"]]


def is_studied(dataset: str) -> bool:
    """Return whether presets, tour and study are about a data set."""
    return dataset == STUDIED


def _baseline_control(dataset: str) -> None:
    """Offer the data set's baselines; the default one is first and preselected."""
    default = default_baseline(dataset)
    names = sorted(by_name(dataset).items(), key=lambda item: item[1] != default)
    if not names:
        return
    offered = [name for name, _ in names]
    is_new = "baseline" not in st.session_state
    asked = st.query_params.get("baseline", "")  # the control will delete an unknown name
    st.selectbox(
        "Baseline", offered, key="baseline", bind="query-params", on_change=_forget_unknown
    )
    if is_new and asked and asked not in offered:
        st.session_state[UNKNOWN] = asked


def _forget_unknown() -> None:
    st.session_state.pop(UNKNOWN, None)


def warn_about_unknown_baseline() -> None:
    """Warn that the URL names a missing baseline, until the user chooses another one."""
    asked = st.session_state.get(UNKNOWN)
    if asked is None:
        return
    # Show the name only if it looks like a file name: a URL could contain markup.
    name = f" `{asked}`" if re.fullmatch(r"[\w.() -]{1,80}", asked, re.ASCII) else ""
    st.warning(
        f"The URL asks for a baseline{name} that is not on this machine, or belongs to another "
        f"data set. The page shows `{st.session_state['baseline']}` instead.",
        icon=":material/link_off:",
    )


def baseline_names(dataset_label: str) -> list[str]:
    """Return the names that the control Baseline offers for a data set."""
    return list(by_name(dataset_options()[dataset_label]))


def current_settings() -> Settings:
    """Return the settings that `shared_controls` has in this run."""
    dataset = current_dataset()
    state = st.session_state
    named = by_name(dataset).get(state.get("baseline", ""))
    return Settings(
        dataset=dataset,
        baseline=named or default_baseline(dataset),
        subset=int(state["subset"]),
        seed=int(state["seed"]),
        ratio=round(float(state["ratio"]), 2),
        rest_ratio=round(float(state["rest"]), 2),
        **pruning_settings(state.to_dict()),
    )


def pruning_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Translate options by control key into fields of `Settings`."""
    return {
        "match": MATCHES[options["match"]],
        "recovery": Recovery.named(RECOVERY_OPTIONS[options["recovery"]]),
        "weight_allocation": WEIGHT_ALLOCATIONS[options["weights"]],
        "criterion": CRITERION_OPTIONS[options["criterion"]],
        "weight_criterion": WEIGHT_CRITERIA[options["weight_criterion"]]
        or CRITERION_OPTIONS[options["criterion"]],
        "channel_allocation": CHANNEL_ALLOCATIONS[options["allocation"]],
        "scope": SCOPE_OPTIONS[options["scope"]],
        "channel_method": CHANNEL_METHODS[options["channels"]],
        "ceiling": CEILINGS[options["ceiling"]],
        "floor": FLOORS[options["floor"]],
        "round_to": MULTIPLES[options["multiple"]],
    }


def require_sidebar() -> None:
    """Restart with app.py if the page was run without it."""
    if "dataset" not in st.session_state:
        restart_app()


def baseline_name(baseline: Path, dataset: str) -> str:
    """Return the name of a baseline in the sidebar and in URLs."""
    return next(name for name, path in by_name(dataset).items() if path == baseline)


def select_baseline(dataset: str, baseline: Path) -> None:
    """Select a baseline in the sidebar; call it only from a callback, before widgets are drawn."""
    st.session_state["dataset"] = data_set_name(dataset).label
    st.session_state["baseline"] = baseline_name(baseline, dataset)
    _forget_unknown()


def _choice(label: str, key: str, options: Mapping[str, Any], help_text: str) -> None:
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


def _list(label: str, key: str, options: Mapping[str, Any], help_text: str) -> None:
    st.selectbox(label, list(options), key=key, bind="query-params", help=help_text)


def _notes(options: Mapping[str, Any]) -> list[str]:
    """Return notes on settings that have no effect on one of the methods."""
    chosen = pruning_settings(options)
    notes = []
    if chosen["weight_criterion"] == "l2":
        notes.append("For single weights, L1 and L2 give the same ranking.")
    for method, name, what in (
        ("fine", chosen["weight_criterion"], "single weights"),
        (chosen["channel_method"], chosen["criterion"], "channels"),
    ):
        if usable(method, name) != name:
            notes.append(f"{CRITERIA[name].label} cannot score {what}, so L1 does.")
    if chosen["channel_method"] == "channel-mask":
        notes.append(
            "Filters are masked in each layer separately: allocation and groups have no effect."
        )
    return notes


_RATIO_HELP = (
    "The fraction of single weights, or of each group's channels, that is removed. "
    "When matched by parameters left, each method uses the ratio that removes this fraction of "
    "all parameters."
)
_CRITERION_HELP = (
    "How a channel, or a weight, is scored; the lowest scores are removed first.\n\n"
    + "\n".join(f"- {each.label}: {each.sentence}" for each in CRITERIA.values())
)
_WEIGHT_CRITERION_HELP = (
    "How a single weight is scored; by default as channels are, or by L1 where that cannot be."
)
_REST_HELP = (
    "Of the hybrid: the part of the weights left in the narrower network that is set to zero, by "
    "magnitude, with one threshold for all layers."
)
_CEILING_HELP = (
    "What a layer or a group loses at most, where they compete: under a global, isomorphic or LAMP "
    "allocation. Without a limit, one layer can lose nearly all and stop what comes after it."
)
_FLOOR_HELP = "What a layer or a group loses at least, where they compete: a part of the ratio."
_MULTIPLE_HELP = (
    "Processors are built for multiples of 8 or 16 channels: each group keeps the nearest multiple."
)
_DATASET_HELP = (
    "The digits come with scikit-learn: small, no download needed. Own images appear here if the "
    "app is started with EXPLORER_DATA=FOLDER."
)
_RECOVERY_HELP = (
    "Which result the cards show; the chart shows all. None of them trains. Recalibration "
    "re-estimates every batch-norm's statistics from up to 2,000 training images. Reconstruction "
    "first lets the weights that are left take over, by least squares, what can be guessed of the "
    "lost ones."
)
_MATCH_HELP = (
    "At the same ratio, channel pruning removes far more parameters, because a layer loses outputs "
    "and inputs: about 1-(1-r)². Matched by parameters, both networks have the same size."
)
_CHANNELS_HELP = (
    "Removed: the network becomes narrower; channels that a residual addition or the like couples "
    "are removed together. Masked: filters are zeroed in place, in each layer separately. "
    "Hybrid: removed, and then single weights of what is left are zeroed."
)
_ALLOCATION_HELP = (
    "Uniform: the same ratio for every layer or group. Global: one threshold for all of them, "
    "so some lose more than others."
)
_WEIGHTS_HELP = (
    f"{_ALLOCATION_HELP} LAMP: a global threshold on scores that protect the last weights of each "
    "layer. ERK: larger layers become sparser, computed from the layer's shape alone."
)
_SCOPE_HELP = (
    "All groups, or only those inside a block, so that the residual streams between blocks "
    "keep their width: those that no addition, or other operation on two tensors, couples."
)
