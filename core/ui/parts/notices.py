"""Calm words for what is missing."""

import streamlit as st

from core.data.loading import download_cifar10
from core.errors import InputError


def explain_missing_images(reason: str) -> None:
    """Say why nothing new can be evaluated, and what works all the same."""
    st.info(
        f"{reason}\n\nThese settings were not measured before, so their accuracy needs the images. "
        "Without them, pruning, sparsity, costs and all stored results work; the data set of "
        "handwritten digits works without a download.",
        icon=":material/image_not_supported:",
    )
    st.page_link("pages/baseline.py", label="Get the images", icon=":material/download:")


def offer_download() -> None:
    """A button that fetches CIFAR-10, with progress."""
    if not st.button("Download CIFAR-10 (170 MB)", icon=":material/download:"):
        return
    bar = st.progress(0.0, "Connecting …")
    try:
        for progress in download_cifar10():
            part = progress.received / progress.total if progress.total else 0.0
            bar.progress(min(part, 1.0), f"{progress.received / 1e6:,.0f} MB received")
    except InputError as error:
        st.warning(str(error), icon=":material/cloud_off:")
        return
    st.rerun()
