"""Measure many prunings; skip stored results."""

import argparse
from pathlib import Path
from typing import Any

from core import paths
from core.commands.common import (
    Commands,
    allocation_options,
    evaluation_options,
    load_or_download,
)
from core.commands.measuring import (
    add_lists,
    chosen_path,
    measure_points,
    open_chosen_store,
    ratios,
    run_points,
    stored_results,
    storing_options,
)
from core.errors import InputError
from core.networks.checkpoint import Checkpoint
from core.results import RESULTS_SUFFIX, Key, export, read_shipped
from core.specs.grid import grid
from core.specs.point import UNPRUNED, Point
from core.specs.recovery import Recovery
from core.specs.vocabulary import ALLOCATIONS, CRITERIA, METHODS, SCOPES, UNTRAINED_RECOVERIES
from core.studies.shipped_grid import (
    FIVE_EPOCHS,
    FULL,
    IMAGES_OF_OTHERS,
    OTHER_NETWORKS,
    shipped_points,
)
from core.sweeps.job import Job
from core.sweeps.measurer import Measurer

POINTS_BETWEEN_FILES = 40
FIXED_OPTIONS = (
    *("subset", "seed", "dataset", "baseline", "export", "store", "methods", "criteria"),
    *("allocations", "scopes", "recoveries", "ratios", "criterion_seed"),
    *("floor", "ceiling", "round_to", "rest_ratios", "rest_allocation"),
)
"""Options that cannot be combined with --shipped."""


def add_sweep(commands: Commands) -> None:
    sweeping = commands.add_parser(
        "sweep",
        parents=[evaluation_options(), storing_options(), allocation_options()],
        help="measure many prunings and store the results; stored ones are not measured again",
    )
    sweeping.set_defaults(run=run_sweep)
    add_lists(
        sweeping,
        [
            ("methods", METHODS, ["fine", "channel"]),
            ("criteria", CRITERIA, ["l1"]),
            ("allocations", ALLOCATIONS, ["uniform"]),
            ("scopes", SCOPES, ["all"]),
            ("recoveries", UNTRAINED_RECOVERIES, ["none", "bn"]),
        ],
    )
    sweeping.add_argument(
        "--ratios",
        type=ratios,
        default=ratios("0:0.95:0.05"),
        metavar="FROM:TO:STEP",
        help="or comma-separated ratios; default: 0:0.95:0.05",
    )
    sweeping.add_argument(
        "--rest-ratios",
        type=ratios,
        default=(0.0,),
        metavar="FROM:TO:STEP",
        help="of the method hybrid: the parts of the weights left that become zero; default: 0",
    )
    sweeping.add_argument(
        "--criterion-seed", type=int, default=0, metavar="S", help="seed of the criterion random"
    )
    sweeping.add_argument(
        "--shipped",
        action="store_true",
        help="measure the curves shipped with the repository, ignoring the options above",
    )
    sweeping.set_defaults(usual={name: sweeping.get_default(name) for name in FIXED_OPTIONS})


def run_sweep(options: argparse.Namespace) -> dict[str, Any]:
    if options.shipped:
        return run_shipped(options)
    measurer = measurer_for(chosen_path(options), options, options.dataset.name)
    points = grid(
        options.methods,
        options.ratios,
        options.criteria,
        options.allocations,
        options.scopes,
        options.recoveries,
        options.criterion_seed,
        options.floor,
        options.ceiling,
        options.round_to,
        options.rest_ratios,
        options.rest_allocation,
    )
    if not points:
        raise InputError(
            "There is nothing to measure: none of the methods can use one of the criteria with one "
            "of the allocations."
        )
    return measure_points(measurer, points, options)


def run_shipped(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all shipped curves; rewrite the files after every POINTS_BETWEEN_FILES points."""
    for name in FIXED_OPTIONS:
        if getattr(options, name) != options.usual[name]:
            raise InputError(
                f"--{name.replace('_', '-')} cannot be combined with --shipped: leave one out."
            )
    others = [name for name in OTHER_NETWORKS if _checkpoint_file(name).exists()]
    work = []
    for name in (FULL, FIVE_EPOCHS, *others):
        path = _checkpoint_file(name)
        file = path.with_name(name + RESULTS_SUFFIX)
        subset = IMAGES_OF_OTHERS if name in others else None
        measurer = measurer_for(path, argparse.Namespace(**vars(options) | {"subset": subset}))
        _check_shipped_file(file, measurer.checkpoint, measurer.key(Point(UNPRUNED, Recovery())))
        work.append((name, file, measurer))
    store = open_chosen_store(options)
    counts = {}
    for name, file, measurer in work:
        points = shipped_points(name)
        for start in range(0, len(points), POINTS_BETWEEN_FILES):
            run_points(measurer, points[start : start + POINTS_BETWEEN_FILES], store, options.json)
            results = stored_results(measurer, points, store)
            export(results, file, "python -m core sweep --shipped", measurer.test_labels)
        counts[name] = len(results)
        print(f"{name}: {counts[name]:,} results.")
    return {"results": counts}


def _checkpoint_file(name: str) -> Path:
    return paths.CHECKPOINTS / f"{name}.safetensors"


def _check_shipped_file(file: Path, loaded: Checkpoint, key: Key) -> None:
    """Raise InputError if results like `key` must not replace the shipped ones.

    Shipped results must be on the images that the baseline was evaluated on after training, because
    only those are looked up. And rewriting the file would drop results in another precision.
    """
    if key.data != loaded.data_fingerprint:
        raise InputError(
            f"{loaded.path} and its shipped results were measured on another copy of these images: "
            "set CIFAR10_DIR to that copy, or leave --shipped out."
        )
    if not file.exists():
        return
    for known in (result.key for result in read_shipped(file).results):
        if known.checkpoint == key.checkpoint and known.precision != key.precision:
            raise InputError(
                f"{file} has this baseline's results in {known.precision}, which results in "
                f"{key.precision} would replace: use --precision {known.precision}."
            )


def measurer_for(path: Path, options: argparse.Namespace, dataset: str | None = None) -> Measurer:
    job = Job(
        path,
        dataset,
        options.subset,
        options.seed,
        options.precision,
        options.device.type,
        options.dataset.folder,
    )
    return job.measurer(Measurer, load_or_download)
