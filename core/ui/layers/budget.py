"""The view Budget: the best ratio for each layer within a limit, against one ratio for all."""

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.errors import InputError
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES, METHODS
from core.studies.budget import (
    Sensitivity,
    minimum_part,
    problem_of,
    quantity_of,
    smallest_part,
    smallest_ratio,
    solve,
)
from core.studies.sensitivity import SCAN_IMAGES, SCAN_RATIOS, units
from core.sweeps.known import BASELINE
from core.sweeps.reading import Reading, can_be_paired
from core.ui.bench.resources import load_pruner
from core.ui.bench.workbench import Workbench
from core.ui.layers.sensitivity import SCAN_SEED, losses_of
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.notices import explain_missing_images
from core.ui.parts.plain import warn
from core.ui.parts.progress import measured, show_progress
from core.ui.parts.sentences import describe_contest
from core.ui.parts.tables import show_rows
from core.ui.parts.texts import show_remark, show_title
from core.ui.sidebar.settings import LARGEST_SUBSET

SOLVED = "by sensitivity"
GOALS = {
    "parameters left": ("parameters", "%"),
    "MACs left": ("macs", "%"),
    "accuracy lost": ("parameters", "points"),
}
STATE = "solved_budget"
Event = Recovering | Evaluation


@dataclass(frozen=True)
class Asked:
    """The values of the form."""

    method: str  # of GRANULARITIES
    goal: str  # of GOALS
    limit: float  # percent left, or points lost


@dataclass(frozen=True)
class Solved:
    """The solution of a budget with its rivals, and the settings that it was solved for."""

    asked: Asked
    file: tuple[str, int]
    spec: PruningSpec  # method, criterion and scope of the sidebar
    recovery: str
    part: float  # largest fraction of the quantity that may be left, 0 to 1
    contenders: Mapping[str, PruningSpec]  # by name, SOLVED and its rivals


def show_budget(bench: Workbench) -> None:
    """Draw the form and the last solution, if it was solved for the current settings."""
    st.markdown("**Budget**: the best ratio for each layer within a limit, from the scan of layers")
    asked = _form()
    progress = st.empty()
    if asked is not None:
        try:
            st.session_state[STATE] = _solve(bench, asked, progress)
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
            "the fewest parameters within this loss.",
        )
        limit = limit_column.number_input(
            "Limit (% or points)",
            min_value=0.1,
            max_value=100.0,
            value=30.0,
            step=0.5,
            key="budget_limit",
        )
        pressed = button_column.form_submit_button(
            "Solve", type="primary", icon=":material/calculate:", width="stretch"
        )
    return Asked(method, goal, float(limit)) if pressed else None


def _solve(bench: Workbench, asked: Asked, progress: DeltaGenerator) -> Solved:
    """Solve a budget. Raises InputError if the scan is missing or nothing meets the budget."""
    spec = bench.specs()[asked.method]
    network = bench.checkpoint.network
    quantity = GOALS[asked.goal][0]
    problem = problem_of(network, spec.method, quantity)
    sensitivities = _sensitivities(bench, spec, problem.names)
    unpruned = PruningSpec(spec.method, 0.0, spec.criterion, scope=spec.scope, seed=spec.seed)

    def solved_for(part: float) -> PruningSpec:
        return replace(unpruned, overrides=tuple(solve(problem, sensitivities, part).items()))

    if asked.goal == "accuracy lost":
        least = minimum_part(problem, sensitivities)
        part = _search(bench, solved_for, least, asked.limit / 100, progress)
    else:
        part = asked.limit / 100
    contenders = {SOLVED: solved_for(part)}
    pruner = load_pruner(bench.file)
    for allocation in METHODS[spec.method].allocations:
        rival = replace(unpruned, allocation=allocation)
        with suppress(InputError):  # no single ratio may meet a budget that separate ratios meet
            contenders[allocation] = replace(
                rival, ratio=smallest_ratio(pruner, rival, quantity, part)
            )
    recovery = bench.settings.recovery.method
    return Solved(asked, bench.file, spec, recovery, part, contenders)


def _sensitivities(
    bench: Workbench, spec: PruningSpec, names: tuple[str, ...]
) -> dict[str, Sensitivity]:
    """Return the scanned sensitivity of each unit.

    Groups out of scope, and what the criterion cannot score, cannot be pruned.
    """
    losses = losses_of(bench, spec)
    network = bench.checkpoint.network
    groups = {group.name: group for group in network.groups}
    scanned = set(units(network, spec.method, spec.criterion))
    found = {}
    for name in names:
        is_out = METHODS[spec.method].prunes_groups and not groups[name].is_in(spec.scope)
        if is_out or name not in scanned:
            found[name] = Sensitivity((0.0,), (0.0,))
            continue
        rows = losses[(losses["unit"] == name) & (losses["ratio"] > 0)].sort_values("ratio")
        if len(rows) < len(SCAN_RATIOS):
            raise InputError(
                "The sensitivity scan for these settings is missing or incomplete: scan first, "
                "under Sensitivity."
            )
        found[name] = Sensitivity(tuple(rows["ratio"]), tuple(rows["lost"]))
    return found


def _search(
    bench: Workbench,
    solved_for: Callable[[float], PruningSpec],
    least: float,
    most_lost: float,
    progress: DeltaGenerator,
) -> float:
    """Return the smallest fraction of parameters that loses at most `most_lost` accuracy.

    The accuracy is measured on the images of the scan.
    """
    known = bench.known.on_subset(SCAN_IMAGES, SCAN_SEED)
    if known.images is None:
        raise InputError(
            "Searching for the fewest parameters needs the images: " + known.missing_images_reason
        )
    recovery = bench.settings.recovery

    def accuracy(reading: Reading) -> float:
        return known.restrict_to_subset(reading.result).evaluation.accuracy

    baseline = accuracy(
        measured(progress, "Evaluating the baseline", known.measure_on_local_images(BASELINE))
    )

    def loss_of(part: float) -> Generator[tuple[float, Event], None, float]:
        lost = 0.0
        for event in known.measure_on_local_images(Point(solved_for(part), recovery)):
            if isinstance(event, Reading):
                lost = baseline - accuracy(event)
            else:
                yield part, event
        return lost

    search = smallest_part(loss_of, least, most_lost)
    while True:
        try:
            part, event = next(search)
        except StopIteration as end:
            progress.empty()
            return float(end.value)
        show_progress(progress, f"Trying {part:.0%} of the parameters", event)


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
    quantity = GOALS[solved.asked.goal][0]
    everything = quantity_of(bench.cost(None), solved.spec.method, quantity)
    rows = []
    for name, result in results.items():
        evaluation = others.get(name, result.evaluation)
        left = quantity_of(result.cost, solved.spec.method, quantity) / everything
        rows.append(
            (
                *(solved.asked.method, name, evaluation.accuracy, *evaluation.interval),
                *(evaluation.correct, evaluation.seen, left),
            )
        )
    columns = ["method", "name", "accuracy", "low", "high", "correct", "seen", "left"]
    found = pd.DataFrame(rows, columns=columns)
    drawing = charts.contenders(found)
    what = "MACs" if quantity == "macs" else "parameters"
    show_title(
        f"At most {solved.part:.1%} of the {what}. "
        + describe_contest(SOLVED, choosing, others or choosing)
    )
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
