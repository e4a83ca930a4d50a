"""Measure what brings the accuracy back: the trained rungs of the page Recovery."""

import argparse
from typing import Any

from core.commands.common import Commands, evaluation_options, load_images_for
from core.commands.measuring import (
    load_chosen_baseline,
    measure_points,
    ratios,
    storing_options,
    subset_size,
)
from core.errors import InputError
from core.specs.pruning import PruningSpec
from core.studies.ladder import (
    FROM_RECALIBRATION,
    FROM_RECONSTRUCTION,
    GRADUALLY,
    USUAL_SIZES,
    ladder_points,
    trained,
)
from core.sweeps.measurer import Measurer

METHODS = ("fine", "channel")
WAYS = {
    "reconstruct": FROM_RECONSTRUCTION,
    "bn": FROM_RECALIBRATION,
    "gradual": GRADUALLY,
}


def add_ladder(commands: Commands) -> None:
    climbing = commands.add_parser(
        "ladder",
        parents=[evaluation_options(), storing_options()],
        help="fine-tune pruned networks on more and more images, and evaluate each",
    )
    climbing.set_defaults(run=run_ladder)
    for method in METHODS:
        climbing.add_argument(
            f"--{method}",
            type=ratios,
            default=(),
            metavar="RATIOS",
            help=f"the ratios of the method {method}, FROM:TO:STEP or comma-separated",
        )
    climbing.add_argument(
        "--images",
        nargs="+",
        type=int,
        default=list(USUAL_SIZES),
        metavar="N",
        help="images to train on; default: " + " ".join(map(str, USUAL_SIZES)),
    )
    climbing.add_argument(
        "--ways",
        nargs="+",
        choices=list(WAYS),
        default=list(WAYS)[:1],
        help="train from a reconstructed or a recalibrated network, or prune gradually; "
        "default: reconstruct",
    )


def run_ladder(options: argparse.Namespace) -> dict[str, Any]:
    specs = [PruningSpec(method, ratio) for method in METHODS for ratio in getattr(options, method)]
    if not specs:
        raise InputError("There is nothing to train: give ratios with --fine or --channel.")
    rungs = [trained(images, WAYS[way]) for images in options.images for way in options.ways]
    loaded = load_chosen_baseline(options)
    dataset = load_images_for(loaded, options.dataset)
    subset = subset_size(options, len(dataset.test_labels), dataset)
    measurer = Measurer(loaded, dataset, subset, options.seed, options.precision, options.device)
    points = sorted(ladder_points(specs, rungs), key=lambda point: point.recovery.images)
    return measure_points(measurer, points, options)
