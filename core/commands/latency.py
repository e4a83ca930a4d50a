"""Measure how fast pruned networks are on this machine, beside their baseline."""

import argparse
import sys
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.commands.common import (
    Commands,
    Parser,
    dataset_option,
    device_option,
    json_option,
    require_default_baseline,
)
from core.commands.measuring import add_lists, ratios
from core.device import PRECISIONS
from core.errors import InputError
from core.export.runtimes import RUNTIMES
from core.networks import checkpoint
from core.networks.batch_norm import finished
from core.networks.checkpoint import Checkpoint
from core.results import Latency, LatencyKey, LatencyStore, export_latencies, open_latencies
from core.results.latencies import to_row
from core.specs.grid import grid
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING
from core.specs.vocabulary import ALLOCATIONS, CRITERIA, METHODS, SCOPES
from core.specs.written import text_of
from core.studies.latency import (
    BATCHES,
    conditions_here,
    measure_latency,
    precision_for,
    speedup_in_words,
    usual_threads,
)
from core.sweeps.measurer import needs_images, new_pruner


def add_latency(commands: Commands) -> None:
    timing = commands.add_parser(
        "latency",
        parents=[json_option(), device_option(), dataset_option(), _files()],
        help="time pruned networks beside their baseline on this machine",
    )
    timing.set_defaults(run=run_latency)
    add_lists(
        timing,
        [
            ("methods", METHODS, ["fine", "channel"]),
            ("criteria", CRITERIA, ["l1"]),
            ("allocations", ALLOCATIONS, ["uniform"]),
            ("scopes", SCOPES, ["all"]),
            ("runtimes", RUNTIMES, ["pytorch"]),
        ],
    )
    timing.add_argument(
        "--ratios",
        type=ratios,
        default=ratios("0.1:0.9:0.1"),
        metavar="FROM:TO:STEP",
        help="or comma-separated ratios; default: 0.1:0.9:0.1",
    )
    timing.add_argument(
        "--round-to",
        type=int,
        nargs="+",
        default=[1],
        metavar="N",
        help="a multiple of N channels stays of each group; several to compare them; default: 1",
    )
    timing.add_argument(
        "--batches",
        type=int,
        nargs="+",
        default=list(BATCHES),
        metavar="N",
        help=f"images at once; default: {' '.join(map(str, BATCHES))}",
    )
    timing.add_argument("--threads", type=int, metavar="N", help="default: those of evaluations")
    timing.add_argument("--precision", choices=PRECISIONS, default="auto")
    timing.add_argument("--again", action="store_true", help="measure also what is stored")


def _files() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="default: the app's default baseline"
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="FILE",
        help="where latencies are stored; default: checkpoints/local/latencies.sqlite",
    )
    parser.add_argument(
        "--export", type=Path, metavar="FILE.csv", help="write the latencies that are asked for"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE.csv if it exists")
    return parser


def run_latency(options: argparse.Namespace) -> dict[str, Any]:
    if options.export is not None:
        checkpoint.refuse_to_overwrite(options.export, options.overwrite)
    threads = usual_threads() if options.threads is None else options.threads
    if min(threads, *options.batches) < 1:
        raise InputError("Batches and threads are whole numbers from 1 on.")
    for name in options.runtimes:
        if missing := RUNTIMES[name].missing():
            raise InputError(f"{RUNTIMES[name].label}: {missing}")
    path = options.baseline or require_default_baseline(options.dataset.name)
    loaded = checkpoint.load(path, options.dataset.name)
    store = open_latencies() if options.store is None else LatencyStore(options.store)
    wanted = _wanted(options, loaded, threads)
    known = {} if options.again else {each.key: each for each in store.of(loaded.fingerprint)}
    missing_keys = [key for key in wanted if key not in known]
    pruner = new_pruner(loaded)
    with tqdm(total=len(missing_keys), unit="network", disable=options.json) as bar:
        for key in missing_keys:
            spec, runtime = wanted[key], RUNTIMES[key.conditions.runtime]
            bar.set_description(f"{spec.method} {spec.ratio:.2f} {runtime.label}", refresh=False)
            pruned = pruner.prune(spec).network
            steps = measure_latency(key, pruned, loaded.network, runtime, options.device)
            known[key] = finished(steps)
            store.put(known[key])
            bar.update()
    for note in store.notes:
        print(note, file=sys.stderr)
    found = [known[key] for key in wanted]
    for key, spec in wanted.items():
        print(_line(spec, known[key]))
    if options.export is not None:
        export_latencies(found, options.export, options.command_line)
        print(f"Written to {options.export}.")
    return {"measured": len(missing_keys), "latencies": [to_row(each) for each in found]}


def _wanted(
    options: argparse.Namespace, loaded: Checkpoint, threads: int
) -> dict[LatencyKey, PruningSpec]:
    """Return the keys of what is asked for, with their prunings, one curve after the other."""
    points = [
        point
        for round_to in options.round_to
        for point in grid(
            options.methods,
            options.ratios,
            options.criteria,
            options.allocations,
            options.scopes,
            round_to=round_to,
        )
    ]
    found: dict[LatencyKey, PruningSpec] = {}
    for runtime, batch in product(options.runtimes, options.batches):
        precision = precision_for(RUNTIMES[runtime], options.precision, options.device)
        conditions = conditions_here(RUNTIMES[runtime], precision, batch, threads, options.device)
        for point in points:
            spec = point.spec
            if needs_images(spec):
                raise InputError(
                    f"The criterion {spec.criterion} looks at training images: time it on the page "
                    "Efficiency, or another criterion here."
                )
            key = LatencyKey.of(loaded.fingerprint, loaded.signature.identity, spec, conditions)
            found[key] = spec
    return found


def _line(spec: PruningSpec, latency: Latency) -> str:
    conditions, speedup = latency.key.conditions, latency.speedup
    return (
        f"{text_of(Point(spec, NOTHING))}, {RUNTIMES[conditions.runtime].label} in "
        f"{conditions.precision}, batch {conditions.batch}: {speedup_in_words(speedup)}; "
        f"{1e3 * speedup.seconds:.2f} beside {1e3 * speedup.reference_seconds:.2f} ms, activations "
        f"{latency.peak_bytes / 1e6:.1f} beside {latency.reference_peak_bytes / 1e6:.1f} MB"
    )
