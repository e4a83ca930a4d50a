"""The page Baseline: the loaded network, the images and the training form."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core import charts
from core.baselines.request import epochs_in_all
from core.data.dataset import DataMissingError, DataSet
from core.errors import InputError
from core.formatting import percent
from core.measuring.statistics import wilson_interval
from core.networks.checkpoint import Checkpoint
from core.networks.layers import filters
from core.networks.metadata import earlier_trainings
from core.specs.vocabulary import DATASETS
from core.training import default_recipe
from core.training.recipe import OPTIMISERS
from core.ui.baseline.training import epoch_row, train_live
from core.ui.bench.resources import file_version, load_checkpoint, load_dataset
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.notices import offer_download
from core.ui.sidebar.settings import Settings, select_baseline

NOT_RECORDED = "not recorded"
OPTIMISER_LABELS = {"muon": "Muon", "sgd": "SGD with Nesterov momentum"}


def show_baseline(settings: Settings) -> None:
    """Show the current checkpoint, its provenance and its training curve."""
    if settings.baseline is None:
        st.info(
            f"There is no trained baseline for {DATASETS[settings.dataset].title} yet: "
            "train one below.",
            icon=":material/model_training:",
        )
        return
    try:
        loaded = load_checkpoint(file_version(settings.baseline))
    except InputError as error:
        st.warning(str(error), icon=":material/warning:")
        return
    accuracy = loaded.metadata["accuracy"]
    low, high = wilson_interval(accuracy["correct"], accuracy["seen"])
    numbers = st.columns([3, 4, 2, 2])
    numbers[0].metric(
        "Test accuracy",
        percent(accuracy["correct"] / accuracy["seen"]),
        delta=f"{percent(low)} to {percent(high)} (95%)",
        delta_color="off",
        delta_arrow="off",
        help="On the whole test set. The interval accounts for the choice of test images, "
        "not the training seed.",
    )
    numbers[1].metric("Test images right", f"{accuracy['correct']:,} of {accuracy['seen']:,}")
    in_all = epochs_in_all(loaded.metadata)
    last = loaded.metadata.get("epochs", in_all)
    numbers[2].metric(
        "Epochs",
        in_all or NOT_RECORDED,
        delta=f"charts: the last {last}" if in_all > last else None,
        delta_color="off",
        delta_arrow="off",
    )
    numbers[3].metric("File", f"{settings.baseline.stat().st_size / 1e6:.1f} MB")
    _training_curve(loaded)
    if in_all > last:
        st.caption(
            f"These {last} epochs continued from a network of {in_all - last} epochs, with a high "
            "learning rate again (a warm restart): accuracy first drops, then ends higher."
        )
    with st.expander("Where it comes from"):
        st.table(
            pd.DataFrame(_provenance(loaded), columns=["", "as recorded in the file"]),
            hide_index=True,
            hide_header=True,
        )


def _training_curve(loaded: Checkpoint) -> None:
    try:
        history = loaded.metadata["history"]
        curve = pd.DataFrame(history["curve"], columns=["epoch", "loss", "rate"])
        ends = pd.DataFrame(
            [epoch_row(end["epoch"], end["correct"], end["seen"]) for end in history["epochs"]]
        )
    except (KeyError, TypeError, ValueError):  # missing, or written by another program
        st.caption(f"The training curve is {NOT_RECORDED} in the file.")
        return
    epochs = loaded.metadata.get("epochs", len(ends))
    loss = charts.loss_curve(curve, epochs)
    validation = charts.validation_curve(ends, epochs)
    left, right = st.columns(2)
    show_chart(
        loss,
        "loss",
        slot=left,
        alt="The training loss falling over the epochs.",
    )
    show_chart(
        validation,
        "validation",
        slot=right,
        alt="The accuracy after each epoch, with its interval.",
    )
    offer_all({"loss": (loss, curve), "validation": (validation, ends)})


def _provenance(loaded: Checkpoint) -> list[tuple[str, str]]:
    metadata: dict[str, Any] = dict(loaded.metadata)
    accuracy, versions = metadata["accuracy"], metadata.get("versions")
    channels = [len(filters(layer)) for layer in loaded.network.layers.values()]
    inner = channels[:-1] or channels  # without the classes
    return [
        ("File", loaded.path.name),
        ("Fingerprint of its weights", loaded.fingerprint),
        ("Data set", f"{loaded.dataset}, fingerprint {metadata['data']['fingerprint']}"),
        ("Architecture", str(loaded.network.architecture)),
        ("Channels of its layers", f"{min(inner):,} to {max(inner):,}"),
        ("Recipe", _settings(metadata.get("recipe"))),
        ("Seed", _text(metadata.get("seed"))),
        ("Started from", _start_text(metadata)),
        ("Trained on", _targets_text(metadata)),
        *_earlier(metadata),
        ("Training images held out", _text(metadata.get("held_out"))),
        ("Precision of its accuracy", _text(accuracy.get("precision"))),
        ("Measured on", _text(accuracy.get("device"))),
        ("Versions", _settings(versions)),
        ("Commit of the code", _text(metadata.get("commit"))),
    ]


def _text(value: Any) -> str:
    return NOT_RECORDED if value is None else str(value)


def _settings(recorded: Any) -> str:
    """Format named values, such as a recipe, in one line."""
    if not isinstance(recorded, Mapping):
        return _text(recorded)
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in recorded.items())


def _earlier(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Describe the training of the baselines that this one continued from, if recorded."""
    return [
        (
            f"Recipe of {each['fingerprint']}",
            f"{_settings(each['recipe'])}; started from {_start_text(each)}; "
            f"trained on {_targets_text(each)}",
        )
        for each in earlier_trainings(metadata)
        if each.get("recipe")
    ]


def _start_text(metadata: Mapping[str, Any]) -> str:
    start = metadata.get("started_from")
    if not start:
        return "random weights from the seed" if "seed" in metadata else NOT_RECORDED
    return f"the weights {start['fingerprint']}, after {start['epochs']} epochs"


def _targets_text(metadata: Mapping[str, Any]) -> str:
    teachers = metadata.get("teachers")
    if not teachers:
        return "the labels" if "recipe" in metadata else NOT_RECORDED
    return f"the mean probabilities of the baselines {' and '.join(teachers)}"


def show_data(settings: Settings) -> DataSet | None:
    """Describe the images and return the data set; if CIFAR-10 is missing, offer the download."""
    try:
        dataset = load_dataset(settings.dataset)
    except DataMissingError as error:
        st.info(str(error), icon=":material/image_not_supported:")
        offer_download()
        return None
    except InputError as error:
        st.warning(str(error), icon=":material/warning:")
        return None
    st.caption(
        f"{DATASETS[dataset.name].title}: {len(dataset.train_labels):,} training and "
        f"{len(dataset.test_labels):,} test images, from {dataset.source}. "
        f"Classes: {', '.join(dataset.class_names)}."
    )
    for note in dataset.notes:
        st.caption(note)
    return dataset


def training_form(dataset: DataSet) -> None:
    """Draw the training form; train with live charts and offer to use the result."""
    st.caption(
        "The network is saved in checkpoints/local. Don't touch the page while it trains: a click "
        "stops it, and Train resumes from the last finished epoch. An epoch takes about 6 minutes "
        "on CIFAR-10 and 12 seconds on the digits with two cores that have native bf16; with two "
        "cores that have only AVX2, 36 minutes and 1 minute."
    )
    with st.form("train", border=False):
        epochs_column, optimiser_column, seed_column, button_column = st.columns(
            [2, 4, 2, 3], vertical_alignment="bottom"
        )
        usual = default_recipe(dataset.name).epochs
        epochs = epochs_column.number_input("Epochs", 1, 200, usual, key=f"epochs_{dataset.name}")
        optimiser = optimiser_column.selectbox(
            "Optimiser", OPTIMISERS, format_func=OPTIMISER_LABELS.__getitem__
        )
        seed = seed_column.number_input("Seed", 0, 9999, 0)
        pressed = button_column.form_submit_button(
            "Train", type="primary", icon=":material/play_arrow:", width="stretch"
        )
    if pressed:
        trained = train_live(
            dataset, default_recipe(dataset.name, int(epochs), optimiser), int(seed)
        )
        if trained is not None:
            _offer(trained)


def _offer(trained: Checkpoint) -> None:
    """Show the accuracy of a trained network and a button that selects it as the baseline."""
    accuracy = trained.metadata["accuracy"]
    st.success(
        f"{trained.path.stem}: {accuracy['correct']:,} of {accuracy['seen']:,} test images right. "
        "Choose it in the sidebar under Baseline.",
        icon=":material/check_circle:",
    )
    st.button(
        "Use it now",
        on_click=select_baseline,
        args=(trained.dataset, trained.path),
        type="primary",
    )
