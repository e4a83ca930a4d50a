"""A second baseline beside the first, by the size that is left: pruned, or small from the start?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from core import charts
from core.baselines.shelf import by_name
from core.errors import InputError
from core.measuring.statistics import mcnemar
from core.results import Result
from core.specs.recovery import BY_LABEL
from core.specs.vocabulary import GRANULARITIES, METHODS, NO_RECOVERY, RECOVERIES
from core.studies.curves import thinned
from core.sweeps.known import KnownResults
from core.sweeps.reading import can_be_paired
from core.ui.bench.resources import file_version, load_checkpoint
from core.ui.bench.workbench import Workbench, known_results_of
from core.ui.parts.cards import millions
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.plain import plain, warn
from core.ui.parts.sentences import accuracy_in_words
from core.ui.parts.texts import show_remark, show_title
from core.ui.sidebar.settings import Settings, baseline_name

NOBODY = "no other baseline"
SIZES = {"parameters": "nonzero", "MACs": "macs"}
SAME_SIZE = 0.01  # sizes that differ by less are equal
COLUMNS = [
    *("baseline", "method", "recovery", "ratio", "nonzero", "macs"),
    *("accuracy", "low", "high", "correct", "seen", "precision"),
]


@dataclass(frozen=True, eq=False)
class Found:
    """The result of one network of a baseline."""

    baseline: str
    method: str  # of GRANULARITIES
    recovery: str  # its label
    ratio: float
    result: Result


def show_versus(bench: Workbench) -> None:
    """Draw the choice of a second baseline, and where one is chosen, both beside each other."""
    own = baseline_name(bench.checkpoint.path, bench.settings.dataset)
    others = {name: path for name, path in by_name(bench.settings.dataset).items() if name != own}
    if not others:
        return
    choice, axis = st.columns([5, 4], vertical_alignment="bottom")
    chosen = choice.selectbox(
        "Compare with",
        [NOBODY, *others],
        key="versus",
        bind="query-params",
        help="Another baseline of this data set: is a large network, pruned, better than a small "
        "one? Only what is stored is drawn.",
    )
    if chosen == NOBODY:
        return
    size = axis.segmented_control(
        "Accuracy against what is left of",
        list(SIZES),
        default="parameters",
        required=True,
        key="versus_x",
        bind="query-params",
    )
    try:
        file = file_version(others[chosen])
        known = known_results_of(file, load_checkpoint(file), bench.known.store, bench.settings)
        found = on_same_images(
            {own: bench.known, chosen: known},
            {
                own: results_of(own, bench.known, bench.settings),
                chosen: results_of(chosen, known, bench.settings),
            },
        )
    except InputError as error:
        warn(error)
        return
    _draw(bench.settings, (own, chosen), found, SIZES[size])


def _draw(settings: Settings, names: tuple[str, str], found: list[Found], size: str) -> None:
    frame = frame_of(found)
    recovery = settings.recovery.method
    show_title(plain(verdict(found, names, RECOVERIES[recovery].label)))
    downloads: dict[str, tuple[charts.Drawing, pd.DataFrame]] = {}
    for column, method in zip(st.columns(len(GRANULARITIES)), GRANULARITIES, strict=True):
        points = frame[frame["method"] == method]
        drawing = charts.versus(points, names, size)
        with column:
            show_remark(f"**{method}**. Large marks: unpruned")
            show_chart(
                drawing,
                f"versus_{method}",
                alt=f"Accuracy of {names[0]} and {names[1]} after {method} pruning, against the "
                f"{charts.SIZES[size].lower()}.",
            )
        downloads[f"{names[0]}-{names[1]}-{method.lower()}"] = (drawing, points)
    missing = missing_curves(found, names)
    if missing:
        show_remark(
            plain(
                f"Not measured with these settings, so not drawn: {'; '.join(missing)}. To measure "
                "them, choose the baseline in the sidebar and fill in the curves, or run sweep."
            )
        )
    if found:
        show_remark(f"All on the same {found[0].result.key.subset:,} test images.")
    offer_all(downloads)


def results_of(name: str, known: KnownResults, settings: Settings) -> list[Found]:
    """Look up the stored results of a baseline: both methods, all recoveries and ratios."""
    found = []
    for method in GRANULARITIES:
        for label, recovery in BY_LABEL.items():
            point = replace(settings.point(method, 0.5), recovery=recovery)
            look_up = known.curve if recovery == settings.recovery else known.glance_at_curve
            for ratio in thinned([each.ratio for each in look_up(point)]):
                spec = settings.spec(method, ratio)
                if result := known.result(replace(point, spec=spec)):
                    found.append(Found(name, method, label, ratio, result))
    return found


def on_same_images(
    known: Mapping[str, KnownResults], found: Mapping[str, list[Found]]
) -> list[Found]:
    """Restrict the results of two baselines to the images that all of them are on.

    Results on another copy of the data set are left out.
    """
    copies = {each.result.key.data for results in found.values() for each in results}
    if not copies:
        return []
    data = max(
        sorted(copies),
        key=lambda copy: min(
            sum(each.result.key.data == copy for each in results) for results in found.values()
        ),
    )
    together = [
        each for results in found.values() for each in results if each.result.key.data == data
    ]
    images = {(each.result.key.subset, each.result.key.subset_seed) for each in together}
    if len(images) == 1:
        return together
    return [
        replace(each, result=known[each.baseline].restrict_to_subset(each.result))
        for each in together
    ]


def frame_of(found: Sequence[Found]) -> pd.DataFrame:
    """Return the frame of `charts.versus`, of both methods."""
    rows = []
    for each in found:
        evaluation, cost = each.result.evaluation, each.result.cost
        rows.append(
            (
                *(each.baseline, each.method, each.recovery, each.ratio, cost.nonzero, cost.macs),
                *(evaluation.accuracy, *evaluation.interval, evaluation.correct, evaluation.seen),
                each.result.key.precision,
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def missing_curves(found: Sequence[Found], names: Sequence[str]) -> list[str]:
    """Name the curves of which nothing but the unpruned network is known."""
    curves = {(each.baseline, each.method, each.recovery) for each in found if each.ratio > 0}
    return [
        f"{name}, {method.lower()}, {label}"
        for name in names
        for method in GRANULARITIES
        for label in BY_LABEL
        if (name, method, label) not in curves
    ]


def verdict(found: Sequence[Found], names: Sequence[str], recovery: str) -> str:
    """Say whether the smaller network, unpruned, or the larger one, pruned as far, is better.

    No accuracy is interpolated: the pruned network is better if one that is no larger is, and worse
    if one that is no smaller is.
    """
    unpruned = {
        each.baseline: each.result
        for each in found
        if each.ratio == 0 and each.recovery == RECOVERIES[NO_RECOVERY].label
    }
    lacking = [name for name in names if name not in unpruned]
    if lacking:
        return f"Unpruned, {' and '.join(lacking)} was not measured on these images."
    small, large = sorted(names, key=lambda name: (unpruned[name].cost.nonzero, name))
    reference = unpruned[small]
    size = reference.cost.nonzero
    if unpruned[large].cost.nonzero <= size * (1 + SAME_SIZE):
        return _of_equal_size(small, reference, large, unpruned[large])
    start = (
        f"At {_parameters(reference)} parameters, {small} unpruned is right on "
        f"{accuracy_in_words(reference.evaluation)} of the images"
    )
    clauses = []
    for method in GRANULARITIES:
        points = [
            each
            for each in found
            if (each.baseline, each.method, each.recovery) == (large, method, recovery)
        ]
        doing = next(each.doing for each in METHODS.values() if each.granularity == method)
        after = "" if recovery == RECOVERIES[NO_RECOVERY].label else f" ({recovery})"
        clauses.append(f"{large} after {doing}{after} {_against(reference, points)}")
    return f"{start}; {', and '.join(clauses)}."


def _of_equal_size(name: str, one: Result, other_name: str, other: Result) -> str:
    start = (
        f"Unpruned, both have {_parameters(one)} parameters: {name} is right on "
        f"{accuracy_in_words(one.evaluation)} of the images, {other_name} on "
        f"{accuracy_in_words(other.evaluation)}"
    )
    if not can_be_paired(one, other):
        return f"{start}, in different precisions, so they are not compared."
    points = _difference(one, other)
    if not points:
        return f"{start}, which cannot be told apart."
    return f"{start}: {other_name if points > 0 else name} is better."


def _against(reference: Result, points: Sequence[Found]) -> str:
    """Compare networks of about the reference's size with it, on the same images."""
    size = reference.cost.nonzero
    no_larger = [each for each in points if each.result.cost.nonzero <= size * (1 + SAME_SIZE)]
    no_smaller = [each for each in points if each.result.cost.nonzero >= size * (1 - SAME_SIZE)]
    if not no_larger or not no_smaller:
        return "was not measured at that size"
    below = max(no_larger, key=lambda each: each.result.cost.nonzero).result
    above = min(no_smaller, key=lambda each: each.result.cost.nonzero).result
    if not (can_be_paired(reference, below) and can_be_paired(reference, above)):
        return "was measured in another precision, so it is not compared"
    if _difference(reference, below) > 0:
        return f"is better, with {accuracy_in_words(below.evaluation)} at {_parameters(below)}"
    if _difference(reference, above) < 0:
        return f"is worse, with {accuracy_in_words(above.evaluation)} at {_parameters(above)}"
    return "cannot be told apart from it"


def _parameters(result: Result) -> str:
    number = result.cost.nonzero
    return millions(number) if number >= 1e6 else f"{number / 1000:.0f} k"


def _difference(reference: Result, other: Result) -> float:
    """Return the difference of the accuracies; 0 if it is not significant."""
    one, two = reference.evaluation, other.evaluation
    test = mcnemar(one.is_right, two.is_right)
    return two.accuracy - one.accuracy if test.significant else 0.0
