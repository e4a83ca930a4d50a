"""The page Baseline: the loaded network, the images and the training form."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from torch import Tensor

from core import charts
from core.baselines.request import epochs_in_all
from core.data.cifar import BOTH
from core.data.dataset import DataMissingError, DataSet
from core.errors import InputError
from core.formatting import percent
from core.measuring.statistics import wilson_interval
from core.networks.checkpoint import Checkpoint
from core.networks.layers import filters
from core.networks.metadata import earlier_trainings
from core.specs.architecture import Architecture
from core.specs.vocabulary import data_set_name, is_folder
from core.training import default_recipe
from core.training.recipe import OPTIMISERS
from core.ui.baseline.importing import import_form, show_import
from core.ui.baseline.training import epoch_row, train_live
from core.ui.bench.resources import file_version, load_checkpoint, load_dataset
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.networks import choose_architecture
from core.ui.parts.notices import offer_download
from core.ui.parts.plain import plain, warn
from core.ui.parts.record import NamedRows, Numbers, note
from core.ui.parts.texts import show_remark
from core.ui.sidebar.settings import Settings, baseline_name, select_baseline

NOT_RECORDED = "not recorded"
MOST_CLASSES_IN_WORDS = 10
_ON_CIFAR = "about 6 minutes with two cores that have native bf16; 36 with two that have only AVX2"
EPOCH_TIMES = {
    "cifar10": f" An epoch of ResNet-18 takes {_ON_CIFAR}.",
    "cifar100": f" An epoch of ResNet-18 takes {_ON_CIFAR}.",
    "digits": " An epoch of ResNet-18 takes about 12 seconds with two cores that have native bf16; "
    "1 minute with two that have only AVX2.",
}
"""What is known of a ResNet-18's time, by data set."""
OPTIMISER_LABELS = {"muon": "Muon", "sgd": "SGD with Nesterov momentum"}


def show_baseline(settings: Settings) -> None:
    """Show the current checkpoint, its provenance and its training curve."""
    if settings.baseline is None:
        st.info(
            f"There is no trained baseline for {plain(data_set_name(settings.dataset).title)} yet: "
            "train one below.",
            icon=":material/model_training:",
        )
        return
    try:
        loaded = load_checkpoint(file_version(settings.baseline))
    except InputError as error:
        warn(error)
        return
    accuracy = loaded.metadata["accuracy"]
    low, high = wilson_interval(accuracy["correct"], accuracy["seen"])
    share = percent(accuracy["correct"] / accuracy["seen"])
    interval = f"{percent(low)} to {percent(high)}"
    right = f"{accuracy['correct']:,} of {accuracy['seen']:,}"
    numbers = st.container(key="numbers").columns([3, 4, 2, 2])
    numbers[0].metric(
        "Test accuracy",
        share,
        delta=f"{interval} (95%)",
        delta_color="off",
        delta_arrow="off",
        help="On the whole test set. The interval accounts for the choice of test images, "
        "not the training seed.",
    )
    numbers[1].metric("Test images right", right)
    in_all = epochs_in_all(loaded.metadata)
    last = loaded.metadata.get("epochs", in_all)
    numbers[2].metric(
        "Epochs",
        in_all or NOT_RECORDED,
        delta=f"charts: the last {last}" if in_all > last else None,
        delta_color="off",
        delta_arrow="off",
    )
    size = f"{settings.baseline.stat().st_size / 1e6:.1f} MB"
    numbers[3].metric("File", size)
    values = {
        "Test accuracy": share,
        "95% interval": interval,
        "Test images right": right,
        "Epochs": str(in_all or NOT_RECORDED),
        "File": size,
    }
    note("baseline", Numbers(baseline_name(settings.baseline, settings.dataset), values))
    _training_curve(loaded)
    if in_all > last:
        show_remark(
            f"These {last} epochs continued from a network of {in_all - last} epochs, with a high "
            "learning rate again (a warm restart): accuracy first drops, then ends higher."
        )
    with st.expander("Where it comes from"):
        recorded = pd.DataFrame(_provenance(loaded), columns=["", "as recorded in the file"])
        st.table(recorded, hide_index=True, hide_header=True)
        note("provenance", NamedRows("Where it comes from", recorded.set_index("")))


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
    left, right = st.container(key="cards_training").columns(2)
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
        ("File", plain(loaded.path.name)),
        ("Fingerprint of its weights", loaded.fingerprint),
        ("Data set", plain(f"{loaded.dataset}, fingerprint {metadata['data']['fingerprint']}")),
        ("Architecture", str(loaded.network.architecture)),
        ("Channels of its layers", f"{min(inner):,} to {max(inner):,}"),
        *_imported(metadata.get("imported")),
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


def _imported(recorded: Any) -> list[tuple[str, str]]:
    """Describe the file that a network was imported from."""
    if not isinstance(recorded, Mapping):
        return []
    notes = recorded.get("notes")
    return [
        ("Imported from", _text(recorded.get("file"))),
        ("SHA-256 of that file", _text(recorded.get("sha256"))),
        ("What that file says", _settings(recorded.get("said") or None)),
        ("What was changed", " ".join(map(str, notes)) if isinstance(notes, list) else "nothing"),
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
    """Describe the images and return the data set; offer to download missing ones."""
    try:
        dataset = load_dataset(settings.dataset)
    except DataMissingError as error:
        st.info(plain(str(error)), icon=":material/image_not_supported:")
        if settings.dataset in BOTH:
            offer_download(BOTH[settings.dataset])
        return None
    except InputError as error:
        warn(error)
        return None
    text = (
        f"{data_set_name(dataset.name).title}: {len(dataset.train_labels):,} training and "
        f"{len(dataset.test_labels):,} test images, from {dataset.source}."
    )
    if dataset.classes <= MOST_CLASSES_IN_WORDS:
        text += f" Classes: {', '.join(dataset.class_names)}."
    st.caption(plain(text))
    for each in dataset.notes:
        st.caption(plain(each))
    if dataset.classes > MOST_CLASSES_IN_WORDS or is_folder(dataset.name):
        with st.expander(f"The {dataset.classes:,} classes"):
            st.dataframe(classes_frame(dataset), hide_index=True)
    return dataset


def classes_frame(dataset: DataSet) -> pd.DataFrame:
    """Return the number of images of each class; a table's cells show names as they are."""
    return pd.DataFrame(
        {
            "Class": dataset.class_names,
            "Training images": _per_class(dataset.train_labels, dataset.classes),
            "Test images": _per_class(dataset.test_labels, dataset.classes),
        }
    )


def _per_class(labels: Tensor, classes: int) -> np.ndarray:
    return np.bincount(labels.numpy(), minlength=classes)


def training_form(dataset: DataSet) -> None:
    """Draw the training form; train with live charts and offer to use the result."""
    st.caption(
        "The network is saved in checkpoints/local. Don't touch the page while it trains: a click "
        "stops it, and Train resumes from where it was last saved."
        + EPOCH_TIMES.get(dataset.name, "")
    )
    with st.form("train", border=False):
        network_column, epochs_column, optimiser_column, seed_column, button_column = st.columns(
            [3, 2, 3, 2, 2], vertical_alignment="bottom"
        )
        architecture = choose_architecture(network_column, "train_network")
        size = (len(dataset.train_labels), dataset.image_size)
        usual = default_recipe(dataset.name, None, OPTIMISERS[0], *size).epochs
        epochs = epochs_column.number_input("Epochs", 1, 200, usual, key=f"epochs_{dataset.name}")
        optimiser = optimiser_column.selectbox(
            "Optimiser", OPTIMISERS, format_func=OPTIMISER_LABELS.__getitem__
        )
        seed = seed_column.number_input("Seed", 0, 9999, 0)
        pressed = button_column.form_submit_button(
            "Train", type="primary", icon=":material/play_arrow:", width="stretch"
        )
    if pressed:
        recipe = default_recipe(dataset.name, int(epochs), optimiser, *size)
        trained = train_live(dataset, recipe, int(seed), architecture or Architecture())
        if trained is not None:
            _offer(trained)


def import_network(dataset: DataSet) -> None:
    """Draw the import form; say what was found and offer to use the result."""
    found = import_form(dataset)
    if found is not None:
        _offer(found.checkpoint)
        show_import(found)


def _offer(trained: Checkpoint) -> None:
    """Show the accuracy of a new baseline and a button that selects it."""
    accuracy = trained.metadata["accuracy"]
    st.success(
        f"{plain(trained.path.stem)}: {accuracy['correct']:,} of {accuracy['seen']:,} test images "
        "right. Choose it in the sidebar under Baseline.",
        icon=":material/check_circle:",
    )
    st.button(
        "Use it now",
        on_click=select_baseline,
        args=(trained.dataset, trained.path),
        type="primary",
    )
