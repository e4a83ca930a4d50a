"""The pictures of test images, where they are on this machine."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.ui.bench.workbench import Workbench
from core.ui.parts.plain import plain


def pictures_of(bench: Workbench, data: str, places: Sequence[int]) -> np.ndarray | None:
    """Return pictures of a data set, uint8 (images, height, width, 3).

    Where the images are not on this machine, or are another copy, say so and return None.
    """
    images = bench.known.images
    if images is None:
        st.info(
            f"{plain(bench.known.missing_images_reason)}\n\nThe pictures need the images; "
            "everything else on this page works without them.",
            icon=":material/image_not_supported:",
        )
        st.page_link("pages/baseline.py", label="Get the images", icon=":material/download:")
        return None
    if images.fingerprint != data:
        st.info(
            "These results are on another copy of the images than the one on this machine, so "
            "its pictures are not shown."
        )
        return None
    return images.test_images[list(places)].movedim(1, -1).numpy()
