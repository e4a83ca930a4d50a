"""The view Calibration: whether the networks are right as often as they say."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from core import charts
from core.formatting import capitalised, percent
from core.measuring.calibration import calibration_error, reliability
from core.results import Result
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.plain import plain
from core.ui.parts.texts import show_remark, show_sentences
from core.ui.predictions.sides import Pair, Side, measure_here


def show_calibration(pair: Pair) -> None:
    """Draw the reliability diagram of both networks, or offer to measure their confidences."""
    sides = dict(zip(charts.SIDES, (pair.before, pair.after), strict=True))
    known = dict(zip(charts.SIDES, (pair.was, pair.now), strict=True))
    if not all(map(_has_codes, known.values())):
        found = {
            when: side.known.on_local_images(side.point, _has_codes) for when, side in sides.items()
        }
        if missing := [sides[when] for when, result in found.items() if result is None]:
            _offer_to_measure(missing)
        known = {
            when: sides[when].known.restrict_to_subset(result)
            for when, result in found.items()
            if result is not None
        }
    if not known:
        return
    names = {when: side.name for when, side in sides.items()}
    lines = [describe(names[when], result) for when, result in known.items()]
    show_sentences(lines, "calibration")
    frame = frame_of(known)
    drawing = charts.reliability(frame)
    show_chart(
        drawing,
        "reliability",
        alt="The accuracy at each confidence, before and after, beside the diagonal of a network "
        "that is right as often as it says.",
    )
    show_remark(
        "Below the dashed line a network says more than it holds. The larger a mark, the more "
        "images. Confidences are kept in steps of 0.4%."
    )
    offer_all({"calibration": (drawing, frame)})


def describe(name: str, result: Result) -> str:
    """Say how often a network is right, how sure it is, and the expected calibration error."""
    evaluation = result.evaluation
    assert result.codes is not None
    assert evaluation.confidences is not None
    error = calibration_error(result.codes, evaluation.is_right)
    return (
        f"{capitalised(name)} is right in {percent(evaluation.accuracy)} of "
        f"{evaluation.seen:,} images, and {percent(float(evaluation.confidences.mean()))} sure on "
        f"average. The expected calibration error is {percent(error.value)} as usually computed, "
        f"and {percent(error.corrected)} ({percent(error.low)} to {percent(error.high)}) without "
        "what few images add to it."
    )


def frame_of(found: Mapping[str, Result]) -> pd.DataFrame:
    """Return the frame of `charts.reliability`."""
    rows = []
    for when, result in found.items():
        assert result.codes is not None
        for each in reliability(result.codes, result.evaluation.is_right):
            low, high = each.interval
            rows.append(
                {
                    "side": when,
                    "confidence": each.confidence,
                    "accuracy": each.accuracy,
                    "low": low,
                    "high": high,
                    "correct": each.correct,
                    "seen": each.seen,
                }
            )
    return pd.DataFrame(rows)


def _offer_to_measure(missing: list[Side]) -> None:
    names = " and ".join(side.name for side in missing)
    st.caption(
        f"The confidences of {plain(names)} are not known: they are kept of what is measured here."
    )
    if st.button("Measure them", icon=":material/play_arrow:", key="measure_confidences") and (
        measure_here(missing, _has_codes)
    ):
        st.rerun()


def _has_codes(result: Result) -> bool:
    return result.codes is not None
