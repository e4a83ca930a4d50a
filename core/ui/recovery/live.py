"""Fine-tuning on a page, with a live curve, progress and the time left."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.errors import InputError
from core.measuring.statistics import wilson_interval
from core.networks.batch_norm import Recovering
from core.recovery.tuning import Tuning
from core.specs.point import Point
from core.specs.vocabulary import METHODS
from core.sweeps.known import KnownResults
from core.ui.bench.turns import tuning_turn, yield_to_evaluations
from core.ui.parts.chart import show_chart
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.plain import warn
from core.ui.parts.progress import duration, measured


def tune_live(known: KnownResults, points: Sequence[Point]) -> bool:
    """Fine-tune the networks of the points, one after the other; return whether all are there.

    Any other interaction with the page stops it; the next call goes on from where it was last
    saved. One session trains at a time, and waits at each step for evaluations of other viewers.
    """
    if known.images is None:
        explain_missing_images(known.missing_images_reason)
        return False
    bar, waiting, chart = st.progress(0.0, "Preparing …"), st.empty(), st.empty()
    try:
        for point in points:
            with tuning_turn(waiting):
                _tune(known, point, bar, waiting, chart)
            label = METHODS[point.spec.method].label
            measured(waiting, f"Evaluating {label}", known.measure_on_local_images(point))
    except InputError as error:
        warn(error)
        return False
    finally:
        bar.empty()
    return True


def _tune(
    known: KnownResults,
    point: Point,
    bar: DeltaGenerator,
    waiting: DeltaGenerator,
    chart: DeltaGenerator,
) -> None:
    label = METHODS[point.spec.method].label
    looks: list[dict[str, float]] = []
    for event in yield_to_evaluations(known.measurer().network(point), waiting):
        bar.progress(min(event.done / event.total, 1.0), _in_words(label, event))
        if isinstance(event, Tuning) and event.seen:
            looks.append(look_row(event))
            drawing = charts.held_out_curve(pd.DataFrame(looks), event.total)
            alt = f"The accuracy of {label} on held-out training images so far."
            show_chart(drawing, None, alt, slot=chart)


def look_row(event: Tuning) -> dict[str, float]:
    """Return one row of the frame that `charts.held_out_curve` draws."""
    low, high = wilson_interval(event.correct, event.seen)
    accuracy = event.correct / event.seen
    return {
        "images": event.done,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "seen": event.seen,
    }


def _in_words(label: str, event: Recovering) -> str:
    if not isinstance(event, Tuning):
        return f"{label}: recovering without training …"
    said = f"{label}: {event.done:,} of {event.total:,} images"
    if event.seconds_left:
        said += f" · loss {event.loss:.2f} · {duration(event.seconds_left)} left"
    return said
