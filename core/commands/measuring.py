"""Helpers shared by the commands that measure many prunings and store the results."""

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from core.commands.common import Parser, dataset_option, require_default_baseline
from core.data.dataset import DataSet
from core.measuring.statistics import wilson_interval
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.results import Result, ResultStore, export, files_of, open_store
from core.specs.point import Point
from core.sweeps.measurer import Measurer
from core.sweeps.sweep import sweep

Work = Callable[[Point], float] | None
"""An estimate of a point's time; None for that of `sweep`."""


def storing_options() -> Parser:
    """Return the options for the baseline and for where results are stored."""
    parser = Parser(add_help=False, parents=[dataset_option(), store_option()])
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="default: the app's default baseline"
    )
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FILE.csv",
        help="write all results, also those already stored",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE.csv if it exists")
    return parser


def store_option() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--store",
        type=Path,
        metavar="FILE",
        help="where results are stored; default: checkpoints/local/results.sqlite",
    )
    return parser


def add_lists(
    parser: argparse.ArgumentParser,
    lists: Iterable[tuple[str, Collection[str], Collection[str]]],
) -> None:
    """Add options that take several names; each is (option, choices, default)."""
    for name, choices, default in lists:
        parser.add_argument(
            f"--{name}",
            nargs="+",
            choices=list(choices),
            default=list(default),
            metavar="NAME",
            help=f"one or more of {', '.join(choices)}; default: {' '.join(default)}",
        )


def subset_size(options: argparse.Namespace, images: int, dataset: DataSet) -> int:
    """Return the size of --subset, by default `images` or the whole test set if it is smaller."""
    return min(images, len(dataset.test_labels)) if options.subset is None else options.subset


def load_chosen_baseline(options: argparse.Namespace) -> Checkpoint:
    """Load the baseline at `chosen_path`. Raises InputError as `chosen_path` does."""
    return checkpoint.load(chosen_path(options), options.dataset.name)


def chosen_path(options: argparse.Namespace) -> Path:
    """Return the path of the baseline. Raises InputError if --export must not be written."""
    if options.export is not None:
        for file in files_of(options.export):
            checkpoint.refuse_to_overwrite(file, options.overwrite)
    path: Path = options.baseline or require_default_baseline(options.dataset.name)
    return path


def measure_points(
    measurer: Measurer, points: Sequence[Point], options: argparse.Namespace, work: Work = None
) -> dict[str, Any]:
    """Do the same as `measure_and_export`; return the outcome as JSON."""
    measured, results = measure_and_export(measurer, points, options, work)
    return {"measured": measured, "results": [as_json(result) for result in results]}


def measure_and_export(
    measurer: Measurer, points: Sequence[Point], options: argparse.Namespace, work: Work = None
) -> tuple[int, list[Result]]:
    """Measure missing points; export if requested. Return (number measured now, all results)."""
    store = open_chosen_store(options)
    measured = run_points(measurer, points, store, options.json, work)
    results = stored_results(measurer, points, store)
    if options.export is not None:
        export(results, options.export, options.command_line, measurer.test_labels)
    print(
        f"{len(results):,} results, {measured:,} of them measured now"
        + (f"; written to {options.export}." if options.export else ".")
    )
    return measured, results


def open_chosen_store(options: argparse.Namespace) -> ResultStore:
    """Open the chosen store, and print its notes before a long measurement starts."""
    store = open_store() if options.store is None else ResultStore(options.store)
    _print_notes(store.notes)
    return store


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)


def prepare(measurer: Measurer, quiet: bool) -> None:
    """Collect what criteria that look at training images need, with a progress bar."""
    with tqdm(desc="Looking", unit="image", disable=quiet, dynamic_ncols=True, delay=0.5) as bar:
        for progress in measurer.prepare():
            bar.total = progress.total
            bar.update(progress.done - bar.n)


def run_points(
    measurer: Measurer,
    points: Sequence[Point],
    store: ResultStore,
    quiet: bool,
    work: Work = None,
) -> int:
    """Sweep with a progress bar; return the number of points measured. For `work` see `sweep`."""
    measured = 0
    said = store.notes
    with tqdm(unit="point", disable=quiet, dynamic_ncols=True, delay=0.5) as bar:
        for progress in sweep(measurer, points, store, work=work):
            spec = progress.point.spec
            bar.total = progress.missing
            bar.set_description(
                f"{spec.method} {spec.ratio:.2f} {progress.point.recovery.method}", refresh=False
            )
            if progress.seconds_left is not None:
                minutes = np.ceil(progress.seconds_left / 60)
                bar.set_postfix_str(f"about {minutes:.0f} min left", refresh=False)
            bar.update(progress.finished - bar.n)
            measured += progress.result is not None
    _print_notes([note for note in store.notes if note not in said])
    return measured


def stored_results(measurer: Measurer, points: Sequence[Point], store: ResultStore) -> list[Result]:
    """Return the stored results of the points, without duplicates."""
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


def ratios(text: str) -> tuple[float, ...]:
    """Parse ratios in hundredths: `0:0.95:0.05`, including both ends, or `0.1,0.3`."""
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
            "should be FROM:TO:STEP or comma-separated numbers, in hundredths from 0 to "
            f"1, not {text!r}"
        )
    return tuple(found)


def _hundredths(text: str) -> int:
    """Parse a ratio into hundredths. Raises ValueError unless it is in hundredths from 0 to 1."""
    hundredths = 100 * float(text)
    if not 0 <= hundredths <= 100 or abs(hundredths - round(hundredths)) > 1e-9:
        raise ValueError(text)
    return round(hundredths)
