"""Measure many prunings, only what is not known yet."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from core import baseline, checkpoint, data
from core.checkpoint import Checkpoint
from core.commands.common import (
    Commands,
    evaluation_options,
    first_baseline,
    load_announced,
)
from core.errors import InputError
from core.pruning import ALLOCATIONS, CRITERIA, METHODS, SCOPES
from core.recovery import RECOVERIES
from core.results import RESULTS_SUFFIX, Result, ResultStore, export, open_store
from core.shipped_grid import FIVE_EPOCHS, FULL, shipped_points
from core.statistics import wilson_interval
from core.sweep import Measurer, Point, grid, sweep

POINTS_BETWEEN_FILES = 40


def add_sweep(commands: Commands) -> None:
    sweeping = commands.add_parser(
        "sweep",
        parents=[evaluation_options()],
        help="measure many prunings and keep the results; what is known is not measured again",
    )
    sweeping.set_defaults(run=run_sweep)
    for name, choices, default in (
        ("methods", METHODS, ["fine", "channel"]),
        ("criteria", CRITERIA, ["l1"]),
        ("allocations", ALLOCATIONS, ["uniform"]),
        ("scopes", SCOPES, ["all"]),
        ("recoveries", RECOVERIES, list(RECOVERIES)),
    ):
        sweeping.add_argument(
            f"--{name}",
            nargs="+",
            choices=choices,
            default=default,
            metavar="NAME",
            help=f"of {', '.join(choices)}; default: {' '.join(default)}",
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
    sweeping.add_argument("--dataset", choices=data.DATASET_NAMES, default="cifar10")
    sweeping.add_argument("--baseline", type=Path, metavar="FILE", help="default: the first found")
    sweeping.add_argument(
        "--export", type=Path, metavar="FILE.csv", help="write the results, known ones too"
    )
    sweeping.add_argument("--overwrite", action="store_true", help="replace FILE.csv if it exists")
    sweeping.add_argument(
        "--store",
        type=Path,
        metavar="FILE",
        help="where results are kept; default: checkpoints/local/results.sqlite",
    )
    sweeping.add_argument(
        "--shipped",
        action="store_true",
        help="measure all results that come with the repository, instead of the above",
    )


def ratios(text: str) -> tuple[float, ...]:
    """`0:0.95:0.05`, both ends included, or `0.1,0.3`; in hundredths."""
    try:
        if ":" in text:
            start, stop, step = (_hundredths(part) for part in text.split(":"))
            found = [each / 100 for each in range(start, stop + 1, step)]
        else:
            found = [_hundredths(part) / 100 for part in text.split(",")]
    except ValueError:
        found = []
    if not found:
        raise argparse.ArgumentTypeError(
            "should be FROM:TO:STEP or numbers with commas between them, in hundredths from 0 to "
            f"1, not {text!r}"
        )
    return tuple(found)


def _hundredths(text: str) -> int:
    """Raises ValueError for what is none from 0 to 1."""
    hundredths = 100 * float(text)
    if not 0 <= hundredths <= 100 or abs(hundredths - round(hundredths)) > 1e-9:
        raise ValueError(text)
    return round(hundredths)


def run_sweep(options: argparse.Namespace) -> dict[str, Any]:
    if options.shipped:
        return run_shipped(options)
    if options.export is not None:
        checkpoint.refuse_to_overwrite(options.export, options.overwrite)
    path = options.baseline or first_baseline(options.dataset)
    measurer = measurer_for(checkpoint.load(path, options.dataset), options)
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
    store = open_store() if options.store is None else ResultStore(options.store)
    measured = run_points(measurer, points, store, options.json)
    results = kept(measurer, points, store)
    if options.export is not None:
        export(results, options.export, options.command_line, measurer.test_labels)
    print(
        f"{len(results):,} results, {measured:,} of them measured now"
        + (f"; written to {options.export}." if options.export else ".")
    )
    return {"measured": measured, "results": [as_json(result) for result in results]}


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


def run_points(measurer: Measurer, points: Sequence[Point], store: ResultStore, quiet: bool) -> int:
    """Sweep with a progress bar; return how many were measured."""
    measured = 0
    with tqdm(unit="point", disable=quiet, dynamic_ncols=True, delay=0.5) as bar:
        for progress in sweep(measurer, points, store):
            spec = progress.point.spec
            bar.total = progress.missing
            bar.set_description(
                f"{spec.method} {spec.ratio:.2f} {progress.point.recovery.method}", refresh=False
            )
            if progress.seconds_left is not None:
                minutes = np.ceil(progress.seconds_left / 60)
                bar.set_postfix_str(f"about {minutes:.0f} min left", refresh=False)
            bar.update(progress.finished - bar.n)
            measured = progress.finished
    for note in store.notes:
        print(note, file=sys.stderr)
    return measured


def kept(measurer: Measurer, points: Sequence[Point], store: ResultStore) -> list[Result]:
    """The results of the points, each once."""
    keys = dict.fromkeys(measurer.key(point) for point in points)
    return [result for key in keys if (result := store.get(key)) is not None]


def as_json(result: Result) -> dict[str, Any]:
    evaluation = result.evaluation
    return {
        **asdict(result.key.spec),
        "recovery": result.key.recovery.method,
        "correct": evaluation.correct,
        "seen": evaluation.seen,
        "accuracy": evaluation.accuracy,
        "interval": wilson_interval(evaluation.correct, evaluation.seen),
        **result.cost.to_json(),
    }
