"""A table of measured accuracies; every number links to the view that shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from core.data.dataset import KNOWN_COPIES
from core.measuring.statistics import mcnemar
from core.results import Result
from core.specs import recovery
from core.specs.point import UNPRUNED, Point
from core.specs.vocabulary import GRANULARITIES, data_set_name
from core.sweeps.known import BASELINE, KnownResults
from core.sweeps.reading import can_be_paired
from core.training import Recipe
from core.ui.baseline.panels import OPTIMISER_LABELS
from core.ui.bench.workbench import Workbench
from core.ui.parts.plain import plain
from core.ui.parts.sentences import accuracy_in_words
from core.ui.sidebar.presets import USUAL
from core.ui.sidebar.settings import Settings, baseline_name, pruning_settings

RATIOS = (0.1, 0.3, 0.5, 0.7)
NOT_MEASURED = "–"


@dataclass(frozen=True)
class Row:
    label: str
    method: str  # of GRANULARITIES
    options: Mapping[str, str] = field(default_factory=dict)  # sidebar options that differ

    def within(self, settings: Settings) -> Settings:
        """Return `settings` with the options of this row."""
        return replace(settings, **pruning_settings({**USUAL, **self.options}))

    def link(self, settings: Settings, baseline: str, ratio: float) -> str:
        """Return the relative URL of the view for this row; `baseline` is its name."""
        dataset = plain(data_set_name(settings.dataset).label)
        said = {**self.options, "dataset": dataset}
        differing = {key: option for key, option in said.items() if option != USUAL[key]}
        images = {"subset": settings.subset, "seed": settings.seed}
        return "/?" + urlencode({"ratio": ratio, "baseline": baseline, **differing, **images})


FINE, CHANNELS = GRANULARITIES
RECALIBRATED = {"recovery": "BN recalibrated"}
RECONSTRUCTED = {"recovery": "reconstructed"}
GLOBAL = {"weights": "global"}
INTERNAL = {"scope": "internal"}
MASKED = {"channels": "masked"}
BY_GAMMA = {**INTERNAL, "allocation": "global", "criterion": "BN γ"}
SECOND_ORDER = {"allocation": "global", "criterion": "second-order", "ceiling": "75%"}
ROWS = (
    Row("Weights zeroed, uniform", FINE),
    Row("… and batch-norm recalibrated", FINE, RECALIBRATED),
    Row("… and reconstructed", FINE, RECONSTRUCTED),
    Row("Weights zeroed, global", FINE, GLOBAL),
    Row("… and batch-norm recalibrated", FINE, GLOBAL | RECALIBRATED),
    Row("Channels removed", CHANNELS),
    Row("… and batch-norm recalibrated", CHANNELS, RECALIBRATED),
    Row("… and reconstructed", CHANNELS, RECONSTRUCTED),
    Row("Internal channels removed", CHANNELS, INTERNAL),
    Row("… and batch-norm recalibrated", CHANNELS, INTERNAL | RECALIBRATED),
    Row("… and reconstructed", CHANNELS, INTERNAL | RECONSTRUCTED),
    Row("Internal channels removed, by BN γ, global", CHANNELS, BY_GAMMA),
    Row("… and batch-norm recalibrated", CHANNELS, BY_GAMMA | RECALIBRATED),
    Row("Channels removed, second-order, global", CHANNELS, SECOND_ORDER),
    Row("… and reconstructed", CHANNELS, SECOND_ORDER | RECONSTRUCTED),
    Row("Internal channels, second-order, global", CHANNELS, INTERNAL | SECOND_ORDER),
    Row("… and reconstructed", CHANNELS, INTERNAL | SECOND_ORDER | RECONSTRUCTED),
    Row("Filters masked", CHANNELS, MASKED),
    Row("… and batch-norm recalibrated", CHANNELS, MASKED | RECALIBRATED),
)


def show_findings(bench: Workbench) -> None:
    """Show the measured accuracies of the sidebar's baseline at RATIOS, and its recipe."""
    header = f"| Accuracy in % at | {' | '.join(f'{ratio:.1f}' for ratio in RATIOS)} |"
    lines = [header, "| --- |" + " ---: |" * len(RATIOS)]
    found: list[Result] = []
    name = baseline_name(bench.checkpoint.path, bench.settings.dataset)
    for row in ROWS:
        cells = []
        for ratio in RATIOS:
            result = _measured(bench, row, ratio)
            if result is None:
                cells.append(NOT_MEASURED)
            else:
                found.append(result)
                text = accuracy_in_words(result.evaluation).replace("%", "")  # the header has it
                cells.append(f"[{text}]({row.link(bench.settings, name, ratio)})")
        if set(cells) != {NOT_MEASURED}:
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
    if found:
        st.markdown("\n".join(lines))
    st.caption(_remark(found))
    if effect := _effect_of_recalibration(bench.known):
        st.markdown(f"**Batch-norm recalibration alone.** {effect}")
    st.markdown(f"**The recipe of this baseline.** {recipe_in_words(bench.checkpoint.metadata)}")


def recipe_in_words(metadata: Mapping[str, Any]) -> str:
    """Describe how a baseline was trained, from its metadata."""
    if "recipe" not in metadata:
        return "The file does not record it."
    recipe = Recipe.from_json(metadata["recipe"])
    parts = [
        f"{recipe.epochs} epochs of batches of {recipe.batch_size} images",
        f"{OPTIMISER_LABELS[recipe.optimiser]}, learning rate rising to {recipe.learning_rate:g} "
        f"in the first {recipe.warm_up:.0%} of the steps and then "
        + ("constant" if recipe.schedule == "constant" else "falling to 0"),
        f"momentum {recipe.momentum:g}",
        _targets(metadata, recipe),
        f"images moved by up to {recipe.translate} pixels"
        + (", mirrored in every other epoch" if recipe.flip else "")
        + (f", a square of {recipe.cutout} pixels cut out" if recipe.cutout else ""),
        *([f"weights averaged over the last {recipe.average} epochs"] if recipe.average else []),
        *_sharpness(recipe),
        f"seed {metadata.get('seed', 'not recorded')}",
    ]
    text = "; ".join(parts) + "."
    if start := metadata.get("started_from"):
        text += f" It continued from a network of {start['epochs']} epochs (a warm restart)."
    return text


def _sharpness(recipe: Recipe) -> list[str]:
    if not recipe.sharpness_aware:
        return []
    return [
        f"sharpness-aware (SAM, radius {recipe.sharpness_radius:g}) in the last "
        f"{recipe.sharpness_aware} epochs"
    ]


def _targets(metadata: Mapping[str, Any], recipe: Recipe) -> str:
    teachers = metadata.get("teachers")
    if not teachers:
        return f"label smoothing {recipe.label_smoothing:g}"
    views = ", averaged over each image and its mirror image," if recipe.mirror_teachers else ""
    return f"targets: the mean probabilities of {len(teachers)} networks{views} instead of labels"


def _measured(bench: Workbench, row: Row, ratio: float) -> Result | None:
    settings = row.within(bench.settings)
    return bench.known.result(settings.point(row.method, ratio))


def _remark(found: Sequence[Result]) -> str:
    """Describe the network, images and interval behind the table's numbers."""
    if not found:
        return "Nothing in this table was measured for this baseline yet: open the page Compare."
    sizes = sorted({result.key.subset for result in found})
    images = " or ".join(f"{size:,}" for size in sizes)
    copies = {KNOWN_COPIES.get(result.key.data) for result in found} - {None}
    of = "".join(f", of {copy}" for copy in copies)
    return (
        f"The sidebar's baseline, by L1 unless stated, on {images} test images{of}, with "
        "half the width of the 95% interval. Each number links to the view that shows it."
    )


def _effect_of_recalibration(known: KnownResults) -> str:
    """Describe how recalibration changes the unpruned baseline; "" if it was not measured."""
    before = known.result(BASELINE)
    after = known.result(Point(UNPRUNED, recovery.RECALIBRATED))
    if before is None or after is None or not can_be_paired(before, after):
        return ""
    test = mcnemar(before.evaluation.is_right, after.evaluation.is_right)
    how_sure = "" if test.significant else ", which is no significant difference"
    start, end = (accuracy_in_words(each.evaluation) for each in (before, after))
    return f"It changes this baseline, with nothing pruned, from {start} to {end}{how_sure}."
