"""The view Criteria: all of them at the slider's ratio, as pruned and after each recovery."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core import charts
from core.formatting import decimal, listed
from core.results import Result
from core.specs.point import Point
from core.specs.recovery import BY_LABEL, NOTHING, RECALIBRATED, RECONSTRUCTED, Recovery
from core.specs.vocabulary import CHANNELS, CRITERIA, GRANULARITIES, RECOVERIES
from core.studies.criteria import (
    CRITERIA_IMAGES,
    CRITERIA_SEED,
    Standing,
    criteria_points,
    standings,
)
from core.ui.bench.workbench import Workbench
from core.ui.choices.missing import look_up, offer_to_measure
from core.ui.parts.chart import show_chart
from core.ui.parts.columns import result_columns
from core.ui.parts.downloads import offer_all
from core.ui.parts.sentences import accuracy_in_words
from core.ui.parts.texts import show_remark, show_sentences

Found = Mapping[Recovery, Sequence[Standing]]


def show_criteria(bench: Workbench) -> None:
    """Draw the chart with its sentences, and offer to measure what is missing."""
    method = st.segmented_control(
        "Criteria for",
        list(GRANULARITIES),
        default=CHANNELS,
        required=True,
        key="criteria_for",
        bind="query-params",
    )
    known = bench.known.on_subset(CRITERIA_IMAGES, CRITERIA_SEED)
    ratio, points, results = _nearest_measured(bench, str(method))
    words, place = st.container(), st.container()
    missing = [point for point in points if point not in results]
    if missing and offer_to_measure(known, missing, "measure_criteria"):
        results = look_up(known, points)
    found = {
        recovery: standings(
            {
                point.spec.criterion: result
                for point, result in results.items()
                if point.recovery == recovery
            }
        )
        for recovery in BY_LABEL.values()
    }
    found = {recovery: each for recovery, each in found.items() if each}
    if not found:
        return
    frame = frame_of(found, ratio)
    drawing = charts.criteria(frame, 1 / bench.classes)
    show_sentences(describe(found), "criteria", words)
    with place:
        show_chart(
            drawing,
            f"criteria_{method}",
            alt=f"The accuracy after {method} pruning at {ratio:.2f} by each criterion, as pruned "
            "and after each recovery.",
        )
        seen = next(iter(found.values()))[0].result.key.subset
        show_remark(
            f"At a ratio of {ratio:.2f}, with the sidebar's allocation and groups, on the same "
            f"{seen:,} test images. What each criterion scores is said on the page Methods."
        )
        offer_all({f"criteria-{str(method).lower()}": (drawing, frame)})


def _nearest_measured(
    bench: Workbench, method: str
) -> tuple[float, list[Point], dict[Point, Result]]:
    """Return the slider's ratio, or the nearest tenth where more is known, with what is known."""
    known = bench.known.on_subset(CRITERIA_IMAGES, CRITERIA_SEED)
    tried = {}
    asked = bench.specs()[method].ratio
    for ratio in (asked, round(asked, 1)):
        spec = bench.settings.spec(method, ratio)
        points = criteria_points(spec, list(BY_LABEL.values()))
        tried[ratio] = (ratio, points, look_up(known, points))
    return max(tried.values(), key=lambda each: len(each[2]))


def frame_of(found: Found, ratio: float) -> pd.DataFrame:
    """Return the frame of `charts.criteria`."""
    rows = []
    for recovery, of_one in found.items():
        for each in of_one:
            rows.append(
                {
                    "criterion": CRITERIA[each.criterion].label,
                    "recovery": RECOVERIES[recovery.method].label,
                    "ratio": ratio,
                    **result_columns(each.result),
                    "verdict": verdict(each),
                }
            )
    return pd.DataFrame(rows)


def verdict(standing: Standing) -> str:
    """Say in words how a criterion stands against the best."""
    if standing.is_best:
        return "the best"
    if standing.is_worse is None:
        return "not compared: another precision"
    return "worse" if standing.is_worse else "can't be told apart"


def describe(found: Found) -> list[str]:
    """Describe what each recovery leaves of the criteria's differences, a sentence each."""
    sentences = [
        _describe(recovery, found[recovery])
        for recovery in (NOTHING, RECONSTRUCTED)
        if len(found.get(recovery, ())) > 1
    ]
    before = next((each for each in (RECALIBRATED, NOTHING) if len(found.get(each, ())) > 1), None)
    if before and len(found.get(RECONSTRUCTED, ())) > 1:
        sentences.append(_spread(before, found[before], found[RECONSTRUCTED]))
    return sentences


def _describe(recovery: Recovery, of_one: Sequence[Standing]) -> str:
    best, *others = of_one
    phrase = RECOVERIES[recovery.method].phrase
    equal = [CRITERIA[each.criterion].label for each in others if each.is_worse is False]
    sentence = (
        f"{phrase[0].upper()}{phrase[1:]}, {CRITERIA[best.criterion].label} is best: "
        f"{accuracy_in_words(best.result.evaluation)}"
    )
    if not equal:
        return f"{sentence}, and all others are worse."
    return f"{sentence}; {listed(equal)} can't be told apart from it."


def _spread(recovery: Recovery, before: Sequence[Standing], after: Sequence[Standing]) -> str:
    """Say how far apart the best and the worst are, after a recovery and with reconstruction."""
    spreads = [
        100 * (of_one[0].result.evaluation.accuracy - of_one[-1].result.evaluation.accuracy)
        for of_one in (before, after)
    ]
    return (
        f"Between the best and the worst lie {decimal(spreads[0])} points "
        f"{RECOVERIES[recovery.method].phrase} and {decimal(spreads[1])} once reconstruction "
        "follows."
    )
