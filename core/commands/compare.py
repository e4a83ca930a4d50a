"""Compare two networks, image by image."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.baselines.naming import class_names
from core.commands.common import (
    Commands,
    dataset_option,
    evaluation_options,
    load_images_for,
    named_network,
)
from core.commands.measuring import open_chosen_store, store_option
from core.errors import InputError
from core.formatting import capitalised, change, percent, percent_within
from core.measuring.flips import ClassChange, Flips, spread
from core.measuring.outcome import Evaluation
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.results import Result, ResultStore
from core.specs.point import Point
from core.specs.written import UNPRUNED_TEXT
from core.studies.paying import classes_in_words, flips_in_words
from core.sweeps.known import KnownResults
from core.sweeps.measurer import new_pruner
from core.sweeps.reading import Reading, can_be_paired

EVERYTHING = 2**31
"""More test images than there are: all of them."""


def add_compare(commands: Commands) -> None:
    comparing = commands.add_parser(
        "compare",
        parents=[evaluation_options(), dataset_option(), store_option()],
        help="compare two networks image by image: classes that pay, flips, a paired test",
    )
    comparing.set_defaults(run=run_compare)
    for name, meaning in (("before", "what is compared with"), ("after", "what is compared")):
        comparing.add_argument(
            name,
            metavar=name.upper(),
            help=f"{meaning}: a checkpoint, {UNPRUNED_TEXT}, or a method, a ratio and what is not "
            "usual in quotes, such as 'channel 0.5 scope=internal recovery=bn'",
        )
    comparing.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="what is pruned; default: the app's default baseline",
    )


def run_compare(options: argparse.Namespace) -> dict[str, Any]:
    store = open_chosen_store(options)
    sides = [
        named_network(text, options.baseline, options.dataset.name)
        for text in (options.before, options.after)
    ]
    load = cache(lambda each: checkpoint.load(each, options.dataset.name))
    networks = [load(path) for path, _ in sides]
    results = _paired(
        [_known(network, store, options) for network in networks],
        [point for _, point in sides],
        options,
    )
    before, after = (result.evaluation for result in results)
    flips = Flips(before.predictions, after.predictions, before.labels)
    names = class_names(networks[0])
    changes = sorted(flips.classes(len(names)), key=lambda each: each.change)
    found = spread(tuple(changes))
    for text, evaluation in ((options.before, before), (options.after, after)):
        accuracy = percent_within(evaluation.accuracy, *evaluation.interval)
        print(f"{text}: {evaluation.correct:,} of {evaluation.seen:,} right, {accuracy}")
    print(
        f"{capitalised(flips_in_words(flips.test))} (McNemar, exact, p = {flips.test.p_value:.2g})."
    )
    print(
        f"Both give the same answer to {percent(flips.agreement)} of the images, in "
        f"{results[0].key.precision}."
    )
    print(classes_in_words(changes, found, names))
    for each in changes:
        print(_line(each, names))
    return {
        "before": _as_json(options.before, before),
        "after": _as_json(options.after, after),
        "precision": results[0].key.precision,
        **asdict(flips.test),
        "agreement": flips.agreement,
        "classes": [asdict(each) | {"name": names[each.label]} for each in changes],
        "spread": asdict(found),
    }


def _known(network: Checkpoint, store: ResultStore, options: argparse.Namespace) -> KnownResults:
    """Return what is known of a network, on the images that it takes."""
    return KnownResults(
        store,
        network,
        cache(lambda: load_images_for(network, options.dataset)),
        cache(lambda: new_pruner(network)),
        EVERYTHING if options.subset is None else options.subset,
        options.seed,
        options.precision,
        options.device,
    )


def _paired(
    known: Sequence[KnownResults], points: Sequence[Point], options: argparse.Namespace
) -> list[Result]:
    """Return both results on the same images: as stored if they are, else measured here."""
    pairs, quiet = list(zip(known, points, strict=True)), options.json
    results = [_measured(each, point, KnownResults.measure, quiet) for each, point in pairs]
    is_asked_for = all(result.key.precision == options.precision for result in results)
    if not can_be_paired(*results) or not (options.precision == "auto" or is_asked_for):
        here = KnownResults.measure_on_local_images
        results = [_measured(each, point, here, quiet) for each, point in pairs]
    if not can_be_paired(*results):
        raise InputError(
            "The two were not measured on the same test images in the same precision: give "
            "networks of the same data set."
        )
    return results


def _measured(
    known: KnownResults, point: Point, measure: Callable[..., Any], quiet: bool
) -> Result:
    reading: Reading | None = None
    with tqdm(unit="image", disable=quiet, dynamic_ncols=True, delay=0.5) as bar:
        for event in measure(known, point):
            if isinstance(event, Evaluation):
                bar.total = event.total
                bar.update(event.seen - bar.n)
            elif isinstance(event, Reading):
                reading = event
    for note in known.store.notes:
        print(note, file=sys.stderr)
    assert reading is not None
    return known.restrict_to_subset(reading.result)


def _line(each: ClassChange, names: Sequence[str]) -> str:
    before, after = each.right_before / each.seen, each.right_after / each.seen
    return (
        f"{names[each.label]:<20} {percent(before):>6} {percent(after):>6} "
        f"{change(100 * each.change):>6}   lost {each.lost:,}, won {each.gained:,}"
    )


def _as_json(text: str, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "network": text,
        "correct": evaluation.correct,
        "seen": evaluation.seen,
        "accuracy": evaluation.accuracy,
        "interval": evaluation.interval,
    }
