"""The view Images: those that flipped, as pictures, and at which ratio each is lost."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from core import charts
from core.data.subsets import sorted_subset
from core.measuring.flips import Flips
from core.results import Result
from core.specs.point import Point
from core.studies.curves import thinned
from core.studies.first_lost import OverRatios
from core.sweeps.known import KnownResults
from core.sweeps.reading import can_be_paired
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all, offer_table
from core.ui.parts.gallery import Card, show_gallery
from core.ui.parts.plain import plain
from core.ui.parts.texts import show_remark, show_title
from core.ui.predictions.classes import ends_of
from core.ui.predictions.filters import PAGE, choose_filter
from core.ui.predictions.pictures import pictures_of
from core.ui.predictions.sides import Pair

ON_A_PAGE = 24
FIRST_LOST, SUREST, IN_ORDER = "the first to go", "the surest before", "test set order"


def show_images(bench: Workbench, pair: Pair, flips: Flips, names: Sequence[str]) -> None:
    """Draw the filter and the images that pass it, page by page."""
    chosen = choose_filter(names)
    over = over_ratios(pair)
    sure = pair.was.evaluation.confidences
    orders = {FIRST_LOST: over is not None, SUREST: sure is not None, IN_ORDER: True}
    offered = [name for name, applies in orders.items() if applies]
    order, page = st.columns([2, 1])
    by = order.segmented_control(
        "Order",
        offered,
        default=offered[0],
        required=True,
        key="image_order",
        bind="query-params",
        help="The first to go where other ratios are measured; the surest where confidences are "
        "kept, as of all that is measured on this machine.",
    )
    found = np.flatnonzero(chosen.which(flips, names))
    if over is not None and by == FIRST_LOST:
        found = found[np.argsort(over.first_lost[found], kind="stable")]
    if sure is not None and by == SUREST:
        found = found[np.argsort(-sure[found], kind="stable")]
    if not len(found):
        st.caption("No image passes this filter.")
        return
    pages = -(-len(found) // ON_A_PAGE)
    if st.session_state.get(PAGE, 1) > pages:  # of an earlier filter
        st.session_state[PAGE] = 1
    number = page.number_input("Page", 1, pages, key=PAGE, bind="query-params", disabled=pages == 1)
    shown = found[(int(number) - 1) * ON_A_PAGE : int(number) * ON_A_PAGE]
    show_remark(
        f"{len(found):,} images, {len(shown)} of them on page {number} of {pages}."
        + (
            " Below each picture: right (green) or wrong (purple) from ratio "
            f"{over.ratios[0]:.2f} to {over.ratios[-1]:.2f}."
            if over is not None
            else ""
        )
    )
    pictures = pictures_of(bench, pair.now.key.data, _positions(pair)[shown].tolist())
    if pictures is not None:
        show_gallery(_cards(pair, flips, names, shown, over, pictures))
    with st.container(key="aside_flips"):
        offer_table("flips", table_of(pair, flips, names, found, over))
    if over is not None:
        frame, rows = lost_frame(over, flips, names)
        drawing = charts.when_lost(frame, rows, pair.after.point.spec.ratio)
        show_title(f"**When images are lost** · {plain(pair.after.name)}")
        show_chart(
            drawing,
            "when_lost",
            alt="How many images of each class are first lost at which pruning ratio.",
        )
        show_remark(
            "Of the images that were right before, at each measured ratio those that are wrong for "
            "the first time; a few are right again at a higher one. Orange: the ratio compared."
        )
        offer_all({"when-lost": (drawing, frame)})


def over_ratios(pair: Pair) -> OverRatios | None:
    """Return which of the pair's images are right at each known ratio; None without a curve."""
    known, point = pair.after.known, pair.after.point
    if point.spec.is_identity:
        return None
    known_ratios = [each.ratio for each in known.glance_at_curve(point)]
    ratios = thinned(known_ratios, point.spec.ratio)
    rows = {}
    for ratio in ratios:
        result = _on_images_of(known, replace(point, spec=replace(point.spec, ratio=ratio)), pair)
        if result is not None:
            rows[ratio] = result
    return OverRatios(tuple(rows), np.stack(list(rows.values()))) if len(rows) > 1 else None


def _on_images_of(known: KnownResults, point: Point, pair: Pair) -> np.ndarray | None:
    """Return which of the pair's images a stored result has right."""
    result = known.glance(point)
    if result is None:
        return None
    if not can_be_paired(result, pair.now):
        result = known.restrict_to_subset(result)
    return result.evaluation.is_right if can_be_paired(result, pair.now) else None


def lost_frame(
    over: OverRatios, flips: Flips, names: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame of `charts.when_lost`, and the classes in the order of their losses."""
    seen = np.bincount(flips.labels[flips.was_right], minlength=len(names))
    counts = over.lost_at(flips.was_right, flips.labels)
    frame = pd.DataFrame(
        [(names[label], ratio, images, int(seen[label])) for label, ratio, images in counts],
        columns=["name", "ratio", "images", "seen"],
    )
    middle = {
        str(name): float(np.average(of_class["ratio"], weights=of_class["images"]))
        for name, of_class in frame.groupby("name")
    }
    rows = sorted(middle, key=middle.__getitem__)
    return frame[frame["name"].isin(ends_of(rows))], ends_of(rows)


def table_of(
    pair: Pair, flips: Flips, names: Sequence[str], found: np.ndarray, over: OverRatios | None
) -> pd.DataFrame:
    """Return the images that were found, in order, with both answers."""
    positions = _positions(pair)
    columns = {
        "image": positions[found],  # of the whole test set
        "class": [names[label] for label in flips.labels[found]],
        "before": [names[answer] for answer in flips.before[found]],
        "after": [names[answer] for answer in flips.after[found]],
    }
    if over is not None:
        columns["first_lost"] = over.first_lost[found]
    return pd.DataFrame(columns)


def _positions(pair: Pair) -> np.ndarray:
    """Return the places of the pair's images in the whole test set."""
    key, labels = pair.now.key, pair.after.known.store.test_labels(pair.now.key.data)
    assert labels is not None
    return sorted_subset(labels, key.subset, key.subset_seed)


def _sure(result: Result, which: int) -> str:
    confidences = result.evaluation.confidences
    return "" if confidences is None else f" {confidences[which]:.0%}"


def _cards(
    pair: Pair,
    flips: Flips,
    names: Sequence[str],
    shown: np.ndarray,
    over: OverRatios | None,
    pictures: np.ndarray,
) -> list[Card]:
    cards = []
    for which, place, picture in zip(shown, _positions(pair)[shown], pictures, strict=True):
        true, was, now = (
            names[answers[which]] for answers in (flips.labels, flips.before, flips.after)
        )
        before, after = (
            f"{name}{_sure(result, which)}" for name, result in ((was, pair.was), (now, pair.now))
        )
        lines = [true, f"{before} → {after}"]
        strip, strip_alt = None, ""
        if over is not None:
            strip, first = over.right[:, which], over.first_lost[which]
            strip_alt = "never wrong" if np.isnan(first) else f"wrong from {first:.2f}"
            lines.append(strip_alt)
        alt = f"Test image {place}, {true}: before {was}, after {now}"
        cards.append(Card(picture, alt, lines, strip, strip_alt))
    return cards
