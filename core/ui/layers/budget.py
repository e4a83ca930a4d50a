"""The view Budget: the best ratio for each layer within a limit, against one ratio for all."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.errors import InputError
from core.formatting import capitalised
from core.results import Result
from core.specs.point import Point
from core.specs.vocabulary import GRANULARITIES
from core.studies.sensitivity import SCAN_IMAGES
from core.sweeps.reading import can_be_paired
from core.ui.bench.workbench import Workbench
from core.ui.layers.budget_solving import (
    GOALS,
    SOLVED,
    UNITS,
    Asked,
    Solved,
    quantity_counted,
    solved_budget,
)
from core.ui.layers.sensitivity import SCAN_SEED
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.plain import warn
from core.ui.parts.progress import measured
from core.ui.parts.sentences import describe_contest
from core.ui.parts.tables import show_rows
from core.ui.parts.texts import show_remark, show_sentences, show_title
from core.ui.sidebar.settings import LARGEST_SUBSET

STATE = "solved_budget"


def show_budget(bench: Workbench) -> None:
    """Draw the form and the last solution, if it was solved for the current settings."""
    st.markdown("**Budget**: the best ratio for each layer within a limit, from the scan of layers")
    asked = _form()
    progress = st.empty()
    if asked is not None:
        try:
            st.session_state[STATE] = solved_budget(bench, asked, progress)
        except InputError as error:
            warn(error)
            return
    solved: Solved | None = st.session_state.get(STATE)
    if solved is None or not _is_of_these_settings(bench, solved):
        st.caption(
            f"The ratios are chosen on up to {SCAN_IMAGES:,} test images. On the other test images "
            "they are compared with one ratio for all layers and with global allocation."
        )
        return
    results = _results(bench, solved, progress)
    if results:
        _show(bench, solved, results)


def _form() -> Asked | None:
    """Draw the form; return its values if the button was pressed, else None."""
    with st.form("budget", border=False):
        method_column, goal_column, limit_column, button_column = st.columns(
            [4, 3, 2, 2], vertical_alignment="bottom"
        )
        method = method_column.segmented_control(
            "Method",
            list(GRANULARITIES),
            default=GRANULARITIES[1],
            required=True,
            key="budget_method",
        )
        goal = goal_column.selectbox(
            "Limit on",
            list(GOALS),
            key="budget_goal",
            help="Parameters (non-zero) and MACs: in percent of the baseline's; for fine-grained "
            "pruning, MACs are theoretical. Accuracy: in points below the baseline's; searches for "
            "the fewest parameters within this loss. Milliseconds for one image on this machine, "
            "or so many times as fast: planned from the times of single layers, which are "
            "measured once, and then measured.",
        )
        limit = limit_column.number_input(
            "Limit",
            min_value=0.1,
            max_value=1000.0,
            value=30.0,
            step=0.5,
            key="budget_limit",
        )
        pressed = button_column.form_submit_button(
            "Solve", type="primary", icon=":material/calculate:", width="stretch"
        )
    return Asked(method, goal, float(limit)) if pressed else None


def _is_of_these_settings(bench: Workbench, solved: Solved) -> bool:
    now = replace(bench.specs()[solved.asked.method], ratio=0.0)
    return (
        solved.file == bench.file
        and replace(solved.spec, ratio=0.0) == now
        and solved.recovery == bench.settings.recovery.method
    )


def _results(bench: Workbench, solved: Solved, progress: DeltaGenerator) -> dict[str, Result]:
    """Return the result of each contender on the whole test set, measuring missing ones.

    All results are on the same images and in the same precision. Without local images, only stored
    results are used; if one is missing, return {}.
    """
    known, recovery = bench.known.on_subset(LARGEST_SUBSET, 0), bench.settings.recovery
    points = {name: Point(spec, recovery) for name, spec in solved.contenders.items()}
    if known.images is not None:
        return {
            name: measured(
                progress,
                f"Evaluating on all test images: {name}",
                known.measure_on_local_images(point),
            ).result
            for name, point in points.items()
        }
    results = {name: known.result(point) for name, point in points.items()}
    found = {name: result for name, result in results.items() if result is not None}
    comparable = [each for each in found.values() if can_be_paired(each, found.get(SOLVED, each))]
    if len(comparable) < len(points):
        explain_missing_images(known.missing_images_reason)
        return {}
    return found


def _show(bench: Workbench, solved: Solved, results: Mapping[str, Result]) -> None:
    known = bench.known.on_subset(SCAN_IMAGES, SCAN_SEED)
    judged = {name: known.evaluate_outside_subset(each) for name, each in results.items()}
    others = {name: each for name, each in judged.items() if each is not None}
    choosing = {name: known.restrict_to_subset(each).evaluation for name, each in results.items()}
    quantity = quantity_counted(solved.asked, solved.spec.method, solved.times)
    everything = quantity(bench.checkpoint.network)
    rows = []
    for name, result in results.items():
        evaluation = others.get(name, result.evaluation)
        left = quantity(bench.pruned(solved.contenders[name]).network) / everything
        rows.append(
            (
                *(solved.asked.method, name, evaluation.accuracy, *evaluation.interval),
                *(evaluation.correct, evaluation.seen, left),
            )
        )
    columns = ["method", "name", "accuracy", "low", "high", "correct", "seen", "left"]
    found = pd.DataFrame(rows, columns=columns)
    drawing = charts.contenders(found)
    show_title(
        f"At most {solved.part:.1%} of the {UNITS[GOALS[solved.asked.goal]]}. "
        + describe_contest(SOLVED, choosing, others or choosing)
    )
    if solved.timed:
        show_sentences([capitalised(line) for line in solved.timed], "timed")
    if (found["left"] > solved.part).any():
        show_remark(
            "More is left than asked: some channels had to stay, because an operation of this "
            "network takes them all together. The page's note on what cannot be pruned names them."
        )
    show_chart(
        drawing,
        "contenders",
        alt="The accuracy of each contender within the budget, with its interval.",
    )
    if others:
        show_remark(
            f"The ratios and the strongest rival were chosen on {SCAN_IMAGES:,} test images, "
            "assuming that the losses of single layers add up. All are judged on the other "
            f"{found['seen'].max():,}."
        )
    else:
        show_remark(
            "This data set has no other test images, so the ratios are judged on the images that "
            "chose them: their accuracy is overestimated."
        )
    with st.expander("The ratios that were chosen"):
        ratios = solved.contenders[SOLVED].overrides
        columns = ["Layer or group of channels", "Ratio"]
        show_rows("The ratios that were chosen", pd.DataFrame(ratios, columns=columns))
    offer_all({"budget": (drawing, found)})
