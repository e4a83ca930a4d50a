"""What a page works with: the settings, the baseline and its measured results."""

from dataclasses import dataclass

import streamlit as st

from core.measuring.outcome import Cost
from core.networks.checkpoint import Checkpoint
from core.pruning import Pruned
from core.results import ResultStore
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES, data_set_name
from core.sweeps.known import KnownResults
from core.ui.bench.looking import look_at_training_images
from core.ui.bench.resources import (
    FileVersion,
    file_version,
    load_checkpoint,
    load_cost,
    load_evidence,
    load_images_for,
    load_matching_ratio,
    load_pruned,
    load_pruner,
    load_store,
)
from core.ui.bench.turns import evaluation_turn
from core.ui.parts.plain import plain
from core.ui.sidebar.settings import Settings, current_settings, is_studied

STUDIED_ARCHITECTURE = "resnet18"


@dataclass(frozen=True)
class Workbench:
    settings: Settings
    file: FileVersion
    checkpoint: Checkpoint
    known: KnownResults

    @property
    def classes(self) -> int:
        """Number of classes of the baseline."""
        return self.checkpoint.signature.classes

    @property
    def is_of_the_study(self) -> bool:
        """Whether the original study's results can be compared with this baseline's."""
        architecture = self.checkpoint.signature.architecture.name
        return is_studied(self.settings.dataset) and architecture == STUDIED_ARCHITECTURE

    def specs(self) -> dict[str, PruningSpec]:
        """Return each method's pruning spec at the current position of the slider."""
        settings = self.settings
        specs = {name: settings.spec(name, settings.ratio) for name in GRANULARITIES}
        if settings.match == "parameters":
            for name in GRANULARITIES:
                ratio = load_matching_ratio(self.file, settings.spec(name, 0.0), settings.ratio)
                specs[name] = settings.spec(name, ratio)
        return specs

    def cost(self, spec: PruningSpec | None) -> Cost:
        return load_cost(self.file, spec)

    def pruned(self, spec: PruningSpec) -> Pruned:
        return load_pruned(self.file, spec)


def open_workbench() -> Workbench:
    """Load the baseline and results for the sidebar's settings; stop the page if there is none.

    Raises InputError if the baseline is damaged or missing, or if the results cannot be read.
    """
    settings = current_settings()
    if settings.baseline is None:
        st.info(
            f"There is no trained baseline for {plain(data_set_name(settings.dataset).title)} yet. "
            "Train one on the page Baseline, or choose another data set in the sidebar.",
            icon=":material/model_training:",
        )
        st.page_link("pages/baseline.py", label="Go to Baseline", icon=":material/arrow_forward:")
        st.stop()
    file = file_version(settings.baseline)
    loaded = load_checkpoint(file)
    look_at_training_images(file, loaded, settings)
    store = load_store()
    for note in store.notes:
        st.caption(f":material/info: {note}")
    return Workbench(settings, file, loaded, known_results_of(file, loaded, store, settings))


def known_results_of(
    file: FileVersion, loaded: Checkpoint, store: ResultStore, settings: Settings
) -> KnownResults:
    """Return the known results of a baseline on the test images chosen in `settings`."""
    return KnownResults(
        store,
        loaded,
        images=lambda: load_images_for(loaded, settings.dataset),
        pruner=lambda: load_pruner(file),
        subset=settings.subset,
        seed=settings.seed,
        turn=evaluation_turn,
        evidence=lambda images: load_evidence(file, images.fingerprint, images.training),
    )
