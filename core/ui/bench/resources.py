"""Resources cached for all sessions: bounded in number and never modified."""

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from core import paths
from core.baselines.fit import fitting
from core.data import loading
from core.data.cifar import BOTH
from core.data.dataset import DataSet, TrainingImages
from core.errors import InputError
from core.evidence import Evidence, local_evidence
from core.measuring.cost import compressed_bytes, cost
from core.measuring.outcome import Cost
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.pruning import Pruned, Pruner, ratio_that_removes
from core.results import ResultStore, open_store
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import is_folder
from core.sweeps.measurer import new_pruner

HEATMAP_RATIOS = tuple(step * 5 / 100 for step in range(20))
VARIABLES = (*(cifar.variable for cifar in BOTH.values()), loading.IMAGES_VARIABLE)
"""The environment variables that say where data sets are."""
FileVersion = tuple[str, int]
"""A file's path and modification time, so a replaced file gets a new cache key."""


def file_version(path: Path) -> FileVersion:
    """Return the cache key of a file. Raises InputError if the file was deleted meanwhile."""
    try:
        return str(path), path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{path} is gone ({error.strerror}). Choose another baseline.") from error


def load_dataset(name: str, image_size: int | None = None) -> DataSet:
    """Load a data set, cached; `image_size` is that of own images, by default as configured.

    Raises InputError as `loading.load` does; errors are not cached.
    """
    size = None
    if is_folder(name):
        size = loading.configured_size() if image_size is None else image_size
    return _load_dataset(name, size, tuple(map(os.environ.get, VARIABLES)))


def load_images_for(loaded: Checkpoint, dataset: str) -> DataSet:
    """Load the images that a baseline can be measured on, at the size that it takes, cached.

    Raises InputError if they are of other classes.
    """
    return fitting(load_dataset(dataset, loaded.signature.image_size), loaded)


@st.cache_resource(show_spinner="Reading the images …", show_time=True, max_entries=3)
def _load_dataset(
    name: str,
    image_size: int | None,
    configured: tuple[str | None, ...],  # noqa: ARG001, part of the key
) -> DataSet:
    return loading.load(name, image_size=image_size)


def load_store() -> ResultStore:
    """Return the store of local and shipped results, updated from the current files."""
    store = _load_store(paths.CHECKPOINTS)
    store.refresh()
    return store


@st.cache_resource(show_spinner="Reading the results …", max_entries=2)
def _load_store(folder: Path) -> ResultStore:
    return open_store(folder)


@st.cache_resource(show_spinner="Loading the baseline …", max_entries=3)
def load_checkpoint(file: FileVersion) -> Checkpoint:
    return checkpoint.read(Path(file[0]))


@st.cache_resource(show_spinner=False, max_entries=2)
def load_pruner(file: FileVersion) -> Pruner:
    return new_pruner(load_checkpoint(file))


@st.cache_resource(show_spinner=False, max_entries=2)
def load_evidence(
    file: FileVersion,
    data: str,  # noqa: ARG001 the fingerprint of the images, part of the key
    _training: TrainingImages,
) -> Evidence:
    """Return what is collected of a baseline on training images, shared by all sessions."""
    return local_evidence(load_checkpoint(file), _training)


@st.cache_resource(show_spinner=False, max_entries=8)
def load_pruned(file: FileVersion, spec: PruningSpec | None) -> Pruned:
    """Return the pruned network, or the baseline if `spec` is None."""
    if spec is None:
        return Pruned(load_checkpoint(file).network, ())
    return load_pruner(file).prune(spec)


@st.cache_data(show_spinner=False, max_entries=1024)
def load_cost(file: FileVersion, spec: PruningSpec | None) -> Cost:
    return cost(load_pruned(file, spec).network)


@st.cache_data(show_spinner=False, max_entries=1024)
def load_compressed_bytes(file: FileVersion, spec: PruningSpec | None) -> int:
    return compressed_bytes(load_pruned(file, spec).network.module)


@st.cache_data(show_spinner=False, max_entries=1024)
def load_matching_ratio(file: FileVersion, spec: PruningSpec, part: float) -> float:
    return ratio_that_removes(load_pruner(file), spec, part)


@st.cache_data(show_spinner="Pruning at every step …", max_entries=64)
def sparsity_frame(
    file: FileVersion, spec_at_zero: PruningSpec, ratios: tuple[float, ...] = HEATMAP_RATIOS
) -> pd.DataFrame:
    """Return what is left of each layer at each ratio; for the columns see the dictionary below."""
    pruner = load_pruner(file)
    return pd.DataFrame(
        {
            "layer": layer.name,
            "ratio": ratio,
            "sparsity": layer.sparsity,
            "weights": layer.weights,
            "weights_left": layer.weights_left,
            "channels": layer.channels,
            "channels_left": layer.channels_left,
        }
        for ratio in ratios
        for layer in pruner.prune(replace(spec_at_zero, ratio=ratio)).layers
    )
