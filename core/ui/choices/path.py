"""The best mix of each size, set against pure prunings of the same size."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core import charts
from core.formatting import decimal, percent
from core.measuring.outcome import Evaluation
from core.measuring.statistics import mcnemar
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import RECOVERIES
from core.studies.mixes import CONTENDERS, MIX_IMAGES, MIX_SEED, MIXED, Mix, Step
from core.studies.mixes import steps as steps_of
from core.sweeps.reading import can_be_paired
from core.ui.bench.resources import FileVersion, load_pruner
from core.ui.bench.workbench import Workbench
from core.ui.choices.missing import look_up, offer_to_measure
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.texts import show_remark, show_sentences, show_title
from core.ui.sidebar.settings import LARGEST_SUBSET, is_studied

DESCRIBED = (0.3, 0.1, 0.05)

Path = Sequence[tuple[float, Mix]]
"""Sizes, and the best mix of each."""
Judged = Mapping[str, tuple[Result, Evaluation]]
"""A result, and its evaluation on the images that chose no mix, by contender."""


def show_path(bench: Workbench, spec: PruningSpec, path: Path) -> None:
    """Draw the contest of the best mixes with pure prunings, and offer to measure it.

    `spec` removes channels, with the settings of the mixes.
    """
    recovery = bench.settings.recovery
    show_title("**The best mix of each size, judged on images that did not choose it**")
    if has_few_images(bench):
        st.caption(f"It takes more than {MIX_IMAGES:,} test images: these chose the mixes.")
        return
    known = bench.known.on_subset(LARGEST_SUBSET, 0)
    steps = load_steps(bench.file, spec, tuple(path))
    points = {
        (step, name): Point(each, recovery) for step in steps for name, each in step.specs.items()
    }
    wanted = list(dict.fromkeys(points.values()))
    results = look_up(known, wanted)
    place = st.container()
    missing = [point for point in wanted if point not in results]
    if missing and offer_to_measure(known, missing, "measure_path"):
        results = look_up(known, wanted)
    chosen_on = bench.known.on_subset(MIX_IMAGES, MIX_SEED)
    judged: dict[Step, dict[str, tuple[Result, Evaluation]]] = {}
    for (step, name), point in points.items():
        result = results.get(point)
        evaluation = None if result is None else chosen_on.evaluate_outside_subset(result)
        if result is not None and evaluation is not None:
            judged.setdefault(step, {})[name] = (result, evaluation)
    if not judged:
        return
    frame = frame_of(judged, bench.cost(None).nonzero)
    drawing = charts.same_size(frame, CONTENDERS)
    with place:
        show_sentences(describe(judged), "path")
        show_chart(
            drawing,
            "same_size",
            alt="The accuracy of the best mix of each size, beside that of weights alone and of "
            "channels alone that leave about as many parameters.",
        )
        show_remark(
            f"{RECOVERIES[recovery.method].phrase.capitalize()}, on the "
            f"{int(frame['seen'].max()):,} test images outside the {MIX_IMAGES:,} that chose the "
            "mixes. Weights alone are zeroed with one threshold for all layers."
        )
        offer_all({"same-size": (drawing, frame)})


def has_few_images(bench: Workbench) -> bool:
    """Return whether no test image is left to judge mixes on; CIFAR-10 has enough, here or not."""
    images = None if is_studied(bench.settings.dataset) else bench.known.images
    return images is not None and len(images.test_labels) <= MIX_IMAGES


@st.cache_data(show_spinner="Looking for pure prunings of the same sizes …", max_entries=16)
def load_steps(file: FileVersion, spec: PruningSpec, path: Path) -> list[Step]:
    """Return the best mix of each size, with pure prunings of that size."""
    return steps_of(load_pruner(file), spec, path)


def frame_of(judged: Mapping[Step, Judged], parameters: int) -> pd.DataFrame:
    """Return the frame of `charts.same_size`; `parameters` are those of the baseline."""
    rows = []
    for found in judged.values():
        for name, (result, evaluation) in found.items():
            low, high = evaluation.interval
            spec = result.key.spec
            rows.append(
                {
                    "contender": name,
                    "ratio": spec.ratio,
                    "rest": spec.rest_ratio,
                    "left": result.cost.nonzero / parameters,
                    "accuracy": evaluation.accuracy,
                    "low": low,
                    "high": high,
                    "correct": evaluation.correct,
                    "seen": evaluation.seen,
                }
            )
    return pd.DataFrame(rows)


def describe(judged: Mapping[Step, Judged]) -> list[str]:
    """Say at some sizes whether the best mix beats each pure pruning."""
    sentences = []
    for size in DESCRIBED:
        step = next((each for each in judged if each.mix.left <= size), None)
        if step is None or MIXED not in judged[step]:
            continue
        found = judged[step]
        result, mine = found[MIXED]
        against = [
            _against(name.lower(), mine, other)
            for name, (theirs, other) in found.items()
            if name != MIXED and can_be_paired(result, theirs)
        ]
        sentences.append(
            f"At {step.mix.left:.0%} of the parameters, {step.mix.ratio:.1f} of the channels and "
            f"{step.mix.rest:.1f} of the rest keep {percent(mine.accuracy)}"
            f"{''.join(f'; {each}' for each in against)}."
        )
    return list(dict.fromkeys(sentences))


def _against(name: str, mine: Evaluation, other: Evaluation) -> str:
    points = 100 * (mine.accuracy - other.accuracy)
    if not mcnemar(other.is_right, mine.is_right).significant:
        return f"{name} can't be told apart ({percent(other.accuracy)})"
    more = "less" if points > 0 else "more"
    return f"{name} {decimal(abs(points))} points {more}"
