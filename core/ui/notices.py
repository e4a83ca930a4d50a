"""Calm words for what is missing."""

import streamlit as st

from core import data
from core.errors import InputError
from core.ui.workbench import Workbench


def explain_missing_images(bench: Workbench) -> None:
    """Say why nothing can be evaluated, and what works all the same; nothing where all is there."""
    if bench.dataset is None:
        st.info(
            f"{bench.no_images}\n\nWithout the images, pruning, sparsity and costs work; "
            "accuracy needs them. The data set of handwritten digits works without a download.",
            icon=":material/image_not_supported:",
        )
        st.page_link("pages/baseline.py", label="Get the images", icon=":material/download:")


def offer_download() -> None:
    """A button that fetches CIFAR-10, with progress."""
    if not st.button("Download CIFAR-10 (170 MB)", icon=":material/download:"):
        return
    bar = st.progress(0.0, "Connecting …")
    try:
        for progress in data.download_cifar10():
            part = progress.received / progress.total if progress.total else 0.0
            bar.progress(min(part, 1.0), f"{progress.received / 1e6:,.0f} MB received")
    except InputError as error:
        st.warning(str(error), icon=":material/cloud_off:")
        return
    st.rerun()
