"""Measure many prunings, only what is not known yet."""

import argparse
from typing import Any

from core import baseline, checkpoint
from core.checkpoint import Checkpoint
from core.commands.common import Commands, evaluation_options, load_announced
from core.commands.measuring import (
    add_lists,
    chosen_baseline,
    kept,
    measure_points,
    ratios,
    run_points,
    storing_options,
)
from core.errors import InputError
from core.pruning import ALLOCATIONS, CRITERIA, METHODS, SCOPES
from core.recovery import RECOVERIES
from core.results import RESULTS_SUFFIX, export, open_store
from core.shipped_grid import FIVE_EPOCHS, FULL, shipped_points
from core.sweep import Measurer, grid

POINTS_BETWEEN_FILES = 40


def add_sweep(commands: Commands) -> None:
    sweeping = commands.add_parser(
        "sweep",
        parents=[evaluation_options(), storing_options()],
        help="measure many prunings and keep the results; what is known is not measured again",
    )
    sweeping.set_defaults(run=run_sweep)
    add_lists(
        sweeping,
        [
            ("methods", METHODS, ["fine", "channel"]),
            ("criteria", CRITERIA, ["l1"]),
            ("allocations", ALLOCATIONS, ["uniform"]),
            ("scopes", SCOPES, ["all"]),
            ("recoveries", RECOVERIES, RECOVERIES),
        ],
    )
    sweeping.add_argument(
        "--ratios",
        type=ratios,
        default=ratios("0:0.95:0.05"),
        metavar="FROM:TO:STEP",
        help="or some with commas between them; default: 0:0.95:0.05",
    )
    sweeping.add_argument(
        "--criterion-seed", type=int, default=0, metavar="S", help="of the criterion random"
    )
    sweeping.add_argument(
        "--shipped",
        action="store_true",
        help="measure all results that come with the repository, instead of the above",
    )


def run_sweep(options: argparse.Namespace) -> dict[str, Any]:
    if options.shipped:
        return run_shipped(options)
    measurer = measurer_for(chosen_baseline(options), options)
    points = grid(
        options.methods,
        options.ratios,
        options.criteria,
        options.allocations,
        options.scopes,
        options.recoveries,
        options.criterion_seed,
    )
    if not points:
        raise InputError(
            "There is nothing to measure: BN γ scores channels, lamp and erk share out weights."
        )
    return measure_points(measurer, points, options)


def run_shipped(options: argparse.Namespace) -> dict[str, Any]:
    """Every curve that ships, the files written anew after each."""
    if options.subset is not None:
        raise InputError("The results that ship are on the whole test set: leave --subset out.")
    store = open_store()
    counts = {}
    loaded = {
        name: checkpoint.load(baseline.CHECKPOINTS / f"{name}.safetensors")
        for name in (FULL, FIVE_EPOCHS)
    }
    for name, each in loaded.items():
        measurer = measurer_for(each, options)
        points = shipped_points(name)
        for start in range(0, len(points), POINTS_BETWEEN_FILES):
            run_points(measurer, points[start : start + POINTS_BETWEEN_FILES], store, options.json)
            results = kept(measurer, points, store)
            export(
                results,
                each.path.with_name(name + RESULTS_SUFFIX),
                "python -m core sweep --shipped",
                measurer.test_labels,
            )
        counts[name] = len(results)
        print(f"{name}: {counts[name]:,} results.")
    return {"results": counts}


def measurer_for(loaded: Checkpoint, options: argparse.Namespace) -> Measurer:
    return Measurer(
        loaded, load_announced(loaded.dataset), options.subset, options.seed, options.precision
    )
