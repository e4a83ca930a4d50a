"""The view Hybrid: every mix of channels removed and weights zeroed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core import charts
from core.formatting import percent
from core.pruning.matching import HIGHEST_RATIO
from core.results import Result
from core.specs.point import Point
from core.specs.vocabulary import CHANNELS, METHODS, RECOVERIES
from core.studies.mixes import (
    MIX_IMAGES,
    MIX_RATIOS,
    MIX_SEED,
    Mix,
    best_path,
    contour,
    mix_points,
)
from core.sweeps.known import BASELINE
from core.ui.bench.workbench import Workbench
from core.ui.choices.missing import look_up, offer_to_measure
from core.ui.choices.path import Path, show_path
from core.ui.parts.chart import show_chart
from core.ui.parts.columns import result_columns
from core.ui.parts.downloads import offer_all
from core.ui.parts.texts import show_remark, show_sentences
from core.ui.sidebar.settings import CHANNEL_METHODS

CHART = "mixes"
PICKED = "picked_mix"
PRESENTED_HEIGHT = 560  # pixels
SIZES = (0.5, 0.3, 0.2, 0.1, 0.05)  # parts of the parameters that are left
DESCRIBED = (0.3, 0.1)
HYBRID = next(option for option, name in CHANNEL_METHODS.items() if METHODS[name].zeroes_rest)


def show_mixes(bench: Workbench) -> None:
    """Draw the map with its sentences, and offer to measure what is missing."""
    settings = bench.settings
    spec = settings.spec(CHANNELS, 0.5)
    if not METHODS[spec.method].prunes_groups:
        st.info("A hybrid removes channels: choose channels that are removed, not masked.")
        return
    known = bench.known.on_subset(MIX_IMAGES, MIX_SEED)
    points = mix_points(spec, [settings.recovery])
    results = look_up(known, points)
    words, place = st.container(), st.container()
    missing = [point for point in points if point not in results]
    if missing and offer_to_measure(known, missing, "measure_mixes"):
        results = look_up(known, points)
    unpruned = known.result(BASELINE)
    whole = unpruned.cost if unpruned else bench.cost(None)
    cells = frame_of(points, results, whole.nonzero, whole.macs)
    if cells.empty:
        return
    lines = contours_of(cells)
    path = best_path(_rights(cells))
    drawing = charts.mixes(
        cells, lines, path_frame(path), (settings.ratio, settings.rest_ratio), PICKED
    )
    show_sentences(describe(cells), "mixes", words)
    with place:
        show_chart(
            drawing,
            CHART,
            alt="A map of the accuracy of every mix of channels removed and weights zeroed, with "
            "lines of equal size.",
            on_select=_choose_clicked,
            selection=PICKED,
            presented_height=PRESENTED_HEIGHT,
        )
        show_remark(
            f"On {int(cells['seen'].iloc[0]):,} test images, {_after(settings.recovery.method)}. "
            "Dashed: equal numbers of parameters left. White: the best mix of each size. Orange: "
            "the sidebar's mix; a click on a cell chooses it. The best were chosen on these "
            "images, so their figures are a little kind."
        )
        offer_all({"mixes": (drawing, cells)})
    show_path(bench, spec, path)


def frame_of(
    points: list[Point], results: dict[Point, Result], parameters: int, macs: int
) -> pd.DataFrame:
    """Return the frame of `charts.mixes`: the points in order, without the unknown ones."""
    rows = []
    pairs = [(ratio, rest) for ratio in MIX_RATIOS for rest in MIX_RATIOS]
    for (ratio, rest), point in zip(pairs, points, strict=True):
        result = results.get(point)
        if result is None:
            continue
        rows.append(
            {
                "ratio": ratio,
                "rest": rest,
                **result_columns(result),
                "left": result.cost.nonzero / parameters,
                "macs_left": result.cost.macs / macs,
            }
        )
    return pd.DataFrame(rows)


def contours_of(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of equal size, as `charts.mixes` takes them."""
    mixes = [Mix(*each) for each in cells[["ratio", "rest", "left"]].itertuples(index=False)]
    rows = [
        {"ratio": ratio, "rest": rest, "name": f"{size:.0%} left"}
        for size in SIZES
        for ratio, rest in contour(mixes, size)
    ]
    return pd.DataFrame(rows, columns=["ratio", "rest", "name"])


def _rights(cells: pd.DataFrame) -> dict[Mix, int]:
    """Return how many images each mix has right."""
    columns = cells[["ratio", "rest", "left", "correct"]]
    return {Mix(*each[:3]): int(each[3]) for each in columns.itertuples(index=False)}


def path_frame(path: Path) -> pd.DataFrame:
    """Return the frame of the path that `charts.mixes` takes."""
    rows = [(best.ratio, best.rest, best.left) for _, best in path]
    return pd.DataFrame(rows, columns=["ratio", "rest", "left"])


def describe(cells: pd.DataFrame) -> list[str]:
    """Say which mix of at most so many parameters is best, beside the pure methods."""
    rows = cells.to_dict("records")
    sentences = []
    for size in DESCRIBED:
        small = [row for row in rows if row["left"] <= size]
        if not small:
            continue
        best = max(small, key=_accuracy)
        pure = {
            "channels alone": [row for row in small if row["rest"] == 0],
            "weights alone": [row for row in small if row["ratio"] == 0],
        }
        others = [
            f"{name} {percent(max(map(_accuracy, found)))}" for name, found in pure.items() if found
        ]
        rivals = f" ({', '.join(others)})" if others else ""
        sentences.append(
            f"With at most {size:.0%} of the parameters left, the best of these mixes is "
            f"{best['ratio']:.1f} of the channels and {best['rest']:.1f} of the rest: "
            f"{percent(_accuracy(best))}{rivals}."
        )
    return sentences


def _accuracy(row: Mapping[Any, Any]) -> float:
    return float(row["accuracy"])


def _after(recovery: str) -> str:
    return RECOVERIES[recovery].phrase


def _choose_clicked() -> None:
    """Set the sidebar to the clicked mix; as a callback it runs before the sidebar is drawn."""
    picked = st.session_state[CHART]["selection"].get(PICKED, [])
    if picked:
        st.session_state["ratio"] = min(float(picked[0]["ratio"]), HIGHEST_RATIO)
        st.session_state["rest"] = min(float(picked[0]["rest"]), HIGHEST_RATIO)
        st.session_state["channels"] = HYBRID
