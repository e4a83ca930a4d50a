"""What is known of a study, and measuring what is missing, on request."""

from collections.abc import Sequence

import streamlit as st

from core.results import Result, StoreError
from core.specs.point import Point
from core.sweeps.known import KnownResults
from core.sweeps.sweep import sweep
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.plain import warn


def look_up(known: KnownResults, points: Sequence[Point]) -> dict[Point, Result]:
    """Return the stored results of the points, all on the images of `known`."""
    found = {point: known.result(point) for point in points}
    return {
        point: known.restrict_to_subset(result)
        for point, result in found.items()
        if result is not None
    }


def offer_to_measure(known: KnownResults, points: Sequence[Point], key: str) -> bool:
    """Offer to measure the points; return whether any were measured now."""
    if not points:
        return False
    what = "1 point is" if len(points) == 1 else f"{len(points):,} points are"
    st.caption(f"{what} not measured yet, on {known.subset:,} test images.")
    if not st.button("Measure them", icon=":material/play_arrow:", key=key):
        return False
    if known.images is None:
        explain_missing_images(known.missing_images_reason)
        return False
    bar = st.progress(0.0, "Preparing …")
    try:
        for progress in sweep(known.measurer(), points, known.store, known.turn):
            bar.progress(
                progress.finished / max(1, progress.missing),
                f"{progress.finished} of {progress.missing} points (moving any control stops it; "
                "finished points are kept)",
            )
    except StoreError as error:
        warn(error)
    bar.empty()
    return True
