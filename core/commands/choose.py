"""Find the settings that work best without training."""

import argparse
from dataclasses import asdict
from typing import Any

from core.commands.common import Commands, evaluation_options, load_images_for
from core.commands.measuring import (
    add_lists,
    load_chosen_baseline,
    measure_and_export,
    prepare,
    storing_options,
    subset_size,
)
from core.specs.point import Point
from core.specs.recovery import RECALIBRATION, Recovery
from core.specs.vocabulary import RECOVERIES
from core.studies.choice import (
    CHOICE_IMAGES,
    CHOICE_SEED,
    PARTS,
    Candidate,
    candidates,
    contest,
    rank,
)
from core.sweeps.measurer import Measurer, new_pruner

METHODS = ("fine", "channel")


def add_choose(commands: Commands) -> None:
    choosing = commands.add_parser(
        "choose",
        parents=[evaluation_options(f"{CHOICE_IMAGES:,}"), storing_options()],
        help="compare criteria, allocations, scopes and ceilings at equal numbers of parameters",
    )
    choosing.set_defaults(run=run_choose, seed=CHOICE_SEED)
    add_lists(choosing, [("methods", METHODS, METHODS)])
    choosing.add_argument(
        "--recovery",
        choices=RECOVERIES,
        default=RECALIBRATION,
        help=f"what is done after pruning; default: {RECALIBRATION}",
    )


def run_choose(options: argparse.Namespace) -> dict[str, Any]:
    loaded = load_chosen_baseline(options)
    dataset = load_images_for(loaded, options.dataset)
    subset = subset_size(options, CHOICE_IMAGES, dataset)
    pruner = new_pruner(loaded)
    measurer = Measurer(
        loaded, dataset, subset, options.seed, options.precision, options.device, pruner
    )
    prepare(measurer, options.json)
    recovery = Recovery.named(options.recovery)
    contests = {
        method: contest(pruner, candidates(method), recovery=recovery) for method in options.methods
    }
    points = [point for each in contests.values() for of_one in each.values() for point in of_one]
    _, results = measure_and_export(measurer, points, options)
    accuracies = {result.key: result.evaluation.accuracy for result in results}

    def accuracy_of(point: Point) -> float:
        return accuracies[measurer.key(point)]

    ranked = {method: rank(each, accuracy_of) for method, each in contests.items()}
    for found in ranked.values():
        for candidate in found:
            print(_line(candidate))
    return {method: [asdict(candidate) for candidate in found] for method, found in ranked.items()}


def _line(candidate: Candidate) -> str:
    spec = candidate.spec
    reached = ", ".join(
        f"{accuracy:.1%} with {part:.0%} removed (ratio {ratio:.2f})"
        for part, ratio, accuracy in zip(PARTS, candidate.ratios, candidate.accuracies, strict=True)
    )
    settings = f"{spec.method} {spec.criterion} {spec.allocation} {spec.scope}"
    if spec.ceiling < 1:
        settings += f" up to {spec.ceiling:g}"
    return f"{settings:<45} {candidate.mean_accuracy:.2%}: {reached}"
