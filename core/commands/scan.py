"""Measure the sensitivity of each layer, pruning one at a time."""

import argparse
from typing import Any

from core.commands.common import Commands, evaluation_options, load_images_for
from core.commands.measuring import (
    add_lists,
    load_chosen_baseline,
    measure_points,
    ratios,
    storing_options,
    subset_size,
)
from core.specs.vocabulary import CRITERIA, METHODS
from core.studies.sensitivity import SCAN_IMAGES, SCANNED, ScanMeasurer, scan_points, scan_work


def add_scan(commands: Commands) -> None:
    scanning = commands.add_parser(
        "scan",
        parents=[evaluation_options(f"{SCAN_IMAGES:,}"), storing_options()],
        help="prune one layer, or one group of channels, at a time; stored results are not "
        "measured again",
    )
    scanning.set_defaults(run=run_scan)
    add_lists(
        scanning,
        [
            ("methods", METHODS, ["fine", "channel"]),
            ("recoveries", SCANNED, SCANNED),
        ],
    )
    scanning.add_argument("--criterion", choices=CRITERIA, default="l1")
    scanning.add_argument(
        "--ratios",
        type=ratios,
        default=ratios("0.1:0.9:0.1"),
        metavar="FROM:TO:STEP",
        help="or comma-separated ratios; default: 0.1:0.9:0.1",
    )


def run_scan(options: argparse.Namespace) -> dict[str, Any]:
    loaded = load_chosen_baseline(options)
    dataset = load_images_for(loaded, options.dataset)
    subset = subset_size(options, SCAN_IMAGES, dataset)
    measurer = ScanMeasurer(
        loaded, dataset, subset, options.seed, options.precision, options.device
    )
    points = [
        point
        for method in options.methods
        for point in scan_points(
            loaded.network, method, options.ratios, options.recoveries, options.criterion
        )
    ]
    return measure_points(measurer, points, options, scan_work(loaded.network))
