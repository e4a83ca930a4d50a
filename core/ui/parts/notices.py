"""Messages about missing images, and the download of data sets."""

import streamlit as st

from core.data.cifar import Cifar
from core.data.loading import download
from core.errors import InputError
from core.ui.parts.plain import plain, warn


def explain_missing_images(reason: str) -> None:
    """Say why nothing new can be evaluated, and what works without images."""
    st.info(
        f"{plain(reason)}\n\n"
        "These settings are not stored, so measuring their accuracy needs the images. "
        "Pruning, sparsity, costs and all stored results work without them, and the handwritten "
        "digits need no download.",
        icon=":material/image_not_supported:",
    )
    st.page_link("pages/baseline.py", label="Get the images", icon=":material/download:")


def offer_download(cifar: Cifar) -> None:
    """Draw a button that downloads a data set, with a progress bar."""
    label = f"Download {cifar.title} ({cifar.archive_megabytes} MB)"
    if not st.button(label, icon=":material/download:"):
        return
    bar = st.progress(0.0, "Connecting …")
    try:
        for progress in download(cifar):
            part = progress.received / progress.total if progress.total else 0.0
            bar.progress(min(part, 1.0), f"{progress.received / 1e6:,.0f} MB received")
    except InputError as error:
        warn(error, icon="cloud_off")
        return
    st.rerun()
