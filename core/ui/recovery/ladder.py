"""The ladder: accuracy as pruned, recovered without training, and trained on more and more."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from core import charts
from core.results import Result
from core.specs.point import Point
from core.specs.recovery import RECALIBRATED, RECONSTRUCTED
from core.specs.vocabulary import ALL_RECOVERIES, GRANULARITIES, RECOVERIES
from core.studies.ladder import (
    FROM_RECALIBRATION,
    FROM_RECONSTRUCTION,
    WAYS,
    Rung,
    next_size,
    rungs,
    sizes,
    trained,
)
from core.sweeps.known import BASELINE
from core.sweeps.tuned import was_tuned_here
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.columns import result_columns
from core.ui.parts.downloads import offer_all
from core.ui.parts.progress import duration
from core.ui.parts.tables import show_rows
from core.ui.parts.texts import show_remark, show_sentences
from core.ui.recovery.live import tune_live
from core.ui.recovery.words import Climbed, describe
from core.ui.sidebar.settings import is_studied

BEGINS = {
    FROM_RECONSTRUCTION: RECOVERIES[RECONSTRUCTED.method].label,
    FROM_RECALIBRATION: RECOVERIES[RECALIBRATED.method].label,
}
BOTH = "both methods"
PRESENTED_HEIGHT = 500  # pixels
STUDIED_IMAGES = 50_000  # training images of CIFAR-10, which need not be here


def show_recovery(bench: Workbench) -> None:
    """Draw the ladder of both methods with its sentences, and run the next rung on request."""
    images = training_images(bench)
    found = {name: climbed(bench, name, images) for name in GRANULARITIES}
    baseline = bench.known.glance(BASELINE)
    _show_words(bench, found, baseline)
    frame = frame_of(found)
    if not frame.empty:
        drawing = charts.ladder(
            frame,
            {way: BEGINS.get(way, "") for way in WAYS},
            sizes(images)[-1],
            baseline.evaluation.accuracy if baseline else None,
            1 / bench.classes,
        )
        show_chart(
            drawing,
            "ladder",
            alt="The accuracy of both methods as pruned, recovered without training, and after "
            "training on more and more images.",
            presented_height=PRESENTED_HEIGHT,
        )
        show_remark(_WHY)
    if bench.settings.ratio == 0:
        st.caption("Nothing is pruned at a ratio of 0, so there is nothing to bring back.")
        return
    with st.container(key="aside_rungs"):
        _next_rung(bench, found, images)
        if not frame.empty:
            with st.expander("The rungs as a table"):
                show_rows("The rungs", _table(frame))
            offer_all({"recovery": (drawing, frame)})


def training_images(bench: Workbench) -> int:
    """Return the number of training images, which those of CIFAR-10 need not be here for."""
    if is_studied(bench.settings.dataset) or bench.known.images is None:
        return STUDIED_IMAGES
    return len(bench.known.images.train_labels)


def climbed(bench: Workbench, name: str, images: int) -> dict[Rung, Result]:
    """Return what is known of a method's rungs, in their order.

    Rungs that were trained here may be on another copy of the images, which are then loaded.
    """
    spec = bench.specs()[name]
    look_up = bench.known.result if was_tuned_here(bench.checkpoint) else bench.known.glance
    known = {rung: look_up(Point(spec, rung.recovery)) for rung in rungs(images)}
    return {rung: result for rung, result in known.items() if result is not None}


def _show_words(bench: Workbench, found: Mapping[str, Climbed], baseline: Result | None) -> None:
    lines = [
        line
        for name, of_one in found.items()
        for line in describe(name, bench.specs()[name].ratio, of_one, baseline)
    ]
    show_sentences(lines, "ladder")


def frame_of(found: Mapping[str, Climbed]) -> pd.DataFrame:
    """Return the frame of `charts.ladder`."""
    return pd.DataFrame(
        {
            "method": name,
            "rung": ALL_RECOVERIES[rung.recovery.method].label,
            "way": rung.way,
            "images": rung.images,
            **result_columns(result),
            "took": _took(result),
        }
        for name, of_one in found.items()
        for rung, result in of_one.items()
    )


def _took(result: Result) -> str:
    seconds = result.origin.recovery_seconds
    return "not known" if seconds is None else duration(seconds)


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    percents = [
        f"{row['accuracy']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
        for row in frame.to_dict("records")
    ]
    return pd.DataFrame(
        {
            "Method": frame["method"],
            "After pruning": frame["rung"],
            "Trained": frame["way"],
            "Images trained on": frame["images"],
            "Accuracy (95% interval)": percents,
            "Test images": frame["seen"],
            "Took": frame["took"],
        }
    )


def _next_rung(bench: Workbench, found: Mapping[str, Climbed], images: int) -> None:
    """Offer the next rung, and run it."""
    which, start, size, button = st.columns([4, 5, 4, 3], vertical_alignment="bottom")
    chosen = which.selectbox("Train", [BOTH, *GRANULARITIES], key="tuned_method")
    way = start.selectbox("Start", list(WAYS), key="tuned_way", help=_WAY_HELP)
    names = list(GRANULARITIES) if chosen == BOTH else [str(chosen)]
    offered = sizes(images)
    # A new key once a rung is there, so that the control moves on to the next one.
    done = set.intersection(*(set(found[name]) for name in names))
    usual = next_size(done, str(way), images)
    number = size.selectbox(
        "Images to train on",
        offered,
        index=offered.index(usual),
        format_func=lambda each: f"{each:,}",
        key=f"tuned_images_{way}_{usual}",
        help="Drawn by class from the training images, without those held out for the live curve. "
        "Only whole batches are trained on, and from one pass on whole passes.",
    )
    pressed = button.button(
        "Go on", type="primary", icon=":material/play_arrow:", width="stretch", key="tune"
    )
    st.caption(
        "Weights that pruning zeroed stay zero at every step, and a narrower network trains at its "
        "size. Moving any control stops the training; *Go on* resumes it from where it was last "
        "saved. The last step counts, never the best."
    )
    if pressed:
        rung = trained(int(number), str(way))
        points = [
            Point(bench.specs()[name], rung.recovery) for name in names if rung not in found[name]
        ]
        if not points:
            st.info("This rung is there already: choose another number of images.")
        elif tune_live(bench.known, points):
            st.rerun()


_WHY = (
    "How accuracy comes back without training: a layer still expects the inputs that it was "
    "trained with. Merging adds the weights that read a lost channel to those of the most similar "
    "one. Recalibration tells batch-norm what its inputs look like now. Reconstruction lets the "
    "weights that are left take over what can be predicted of the lost inputs from those that "
    "stay: the more stays, the more comes back. What it took is without the pass over 2,000 "
    "training images that reconstruction needs once a baseline."
)
_WAY_HELP = (
    "From reconstruction: pruned at once, then the weights left take over by least squares, then "
    "training. From recalibration: without the least squares. Pruned gradually: a little at each "
    "of eight steps, with training in between, on the same number of images in all."
)
