"""Solving a budget: the ratios within a limit, and one ratio for all that meets it too."""

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from streamlit.delta_generator import DeltaGenerator

from core.errors import InputError
from core.measuring.cost import cost
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.networks.network import Network
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS
from core.studies.budget import (
    LayerTimes,
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
from core.sweeps.reading import Reading
from core.ui.bench.resources import load_pruner
from core.ui.bench.workbench import Workbench
from core.ui.layers.budget_times import measured_in_words, times_of
from core.ui.layers.sensitivity import SCAN_SEED, losses_of
from core.ui.parts.progress import followed, measured, show_progress

SOLVED = "by sensitivity"
GOALS = {
    "parameters left": "parameters",
    "MACs left": "macs",
    "accuracy lost": "parameters",
    "milliseconds": "time",
    "times as fast": "time",
}
"""What a limit is on, and the quantity that is planned in."""
UNITS = {"parameters": "parameters", "macs": "MACs", "time": "time"}
Event = Recovering | Evaluation


@dataclass(frozen=True)
class Asked:
    """The values of the form."""

    method: str  # of GRANULARITIES
    goal: str  # of GOALS
    limit: float  # percent left, points lost, milliseconds, or times as fast


@dataclass(frozen=True)
class Solved:
    """The solution of a budget with its rivals, and the settings that it was solved for."""

    asked: Asked
    file: tuple[str, int]
    spec: PruningSpec  # method, criterion and scope of the sidebar
    recovery: str
    part: float  # largest fraction of the quantity that may be left, 0 to 1
    contenders: Mapping[str, PruningSpec]  # by name, SOLVED and its rivals
    times: LayerTimes | None = None  # of a budget in time
    timed: tuple[str, ...] = ()  # how long the contenders take, in words


def solved_budget(bench: Workbench, asked: Asked, progress: DeltaGenerator) -> Solved:
    """Solve a budget. Raises InputError if the scan is missing or nothing meets the budget."""
    spec = bench.specs()[asked.method]
    network = bench.checkpoint.network
    times = _times(bench, asked, progress)
    if times is None:
        problem = problem_of(network, spec.method, GOALS[asked.goal])
    else:
        problem = times.problem(network)
    sensitivities = _sensitivities(bench, spec, problem.names)
    unpruned = PruningSpec(spec.method, 0.0, spec.criterion, scope=spec.scope, seed=spec.seed)

    if times is not None:
        _check_reachable(asked, times, minimum_part(problem, sensitivities))

    def solved_for(part: float) -> PruningSpec:
        return replace(unpruned, overrides=tuple(solve(problem, sensitivities, part).items()))

    if asked.goal == "accuracy lost":
        least = minimum_part(problem, sensitivities)
        part = _search(bench, solved_for, least, asked.limit / 100, progress)
    else:
        part = _part(asked, times)
    contenders = {SOLVED: solved_for(part)}
    pruner = load_pruner(bench.file)
    for allocation in METHODS[spec.method].allocations:
        rival = replace(unpruned, allocation=allocation)
        with suppress(InputError):  # no single ratio may meet a budget that separate ratios meet
            contenders[allocation] = replace(
                rival,
                ratio=smallest_ratio(
                    pruner, rival, quantity_counted(asked, spec.method, times), part
                ),
            )
    timed = measured_in_words(bench, contenders, times, progress) if times else []
    recovery = bench.settings.recovery.method
    return Solved(asked, bench.file, spec, recovery, part, contenders, times, tuple(timed))


def _times(bench: Workbench, asked: Asked, progress: DeltaGenerator) -> LayerTimes | None:
    """Return the table of layers' times, where the budget is one in time.

    Raises InputError for a method that saves none.
    """
    if GOALS[asked.goal] != "time":
        return None
    if bench.specs()[asked.method].method != "channel":
        raise InputError(
            "Zeros save no time on dense kernels: a budget in time is for channels removed."
        )
    return times_of(bench, progress)


def _check_reachable(asked: Asked, times: LayerTimes, least: float) -> None:
    """Raise InputError if the largest scanned ratios are not fast enough."""
    if _part(asked, times) < least:
        raise InputError(
            f"At most {1 / least:.1f} times as fast, {1e3 * least * times.whole:.2f} ms, is "
            "possible at the largest scanned ratios: ask for less."
        )


def _part(asked: Asked, times: LayerTimes | None) -> float:
    """Return the largest part of the quantity that may be left, 0 to 1."""
    if times is None:
        return asked.limit / 100
    part = 1 / asked.limit if asked.goal == "times as fast" else asked.limit / 1e3 / times.whole
    return min(part, 1.0)


def quantity_counted(
    asked: Asked, method: str, times: LayerTimes | None
) -> Callable[[Network], float]:
    """Return what counts the quantity of a network pruned by the method."""
    if times is not None:
        return times.predict
    return lambda network: quantity_of(cost(network), method, GOALS[asked.goal])


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

    def show(tried: tuple[float, Event]) -> None:
        part, event = tried
        show_progress(progress, f"Trying {part:.0%} of the parameters", event)

    found = followed(smallest_part(loss_of, least, most_lost), show)
    progress.empty()
    return found
