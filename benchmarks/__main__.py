"""Measure how fast the explorer is on this machine: medians of repeated runs, with targets."""

import argparse
import json
import sys
from collections.abc import Sequence

import torch

from benchmarks import (
    app,
    evaluation,
    files,
    layers,
    pruning,
    recovery,
    results,
    runtimes,
    training,
)
from benchmarks.benchmark import Benchmark, Result
from benchmarks.material import network
from core.commands.common import Parser
from core.device import best_device, resolve_precision
from core.errors import InputError
from core.process import keep_freed_memory

BENCHMARKS = (
    Benchmark("evaluate", evaluation.against_plain, "times as fast as plain", at_least=2.2),
    Benchmark("evaluate-rate", evaluation.rate, "of matrix products", at_least=0.9),
    Benchmark(
        "evaluate-vs-onnxruntime", runtimes.against("onnxruntime"), "times as fast as ONNX Runtime"
    ),
    Benchmark("evaluate-vs-openvino", runtimes.against("openvino"), "times as fast as OpenVINO"),
    Benchmark("evaluate-vs-compile", runtimes.against("compile"), "times as fast as compiled"),
    Benchmark("prune-fine", pruning.fine, "ms", at_most=100),
    Benchmark("prune-channel", pruning.channel, "ms", at_most=100),
    Benchmark(
        "prune-fine-vs-torch", pruning.fine_against_torch, "times as fast as torch", at_least=10
    ),
    Benchmark(
        "prune-channel-vs-torch-pruning",
        pruning.channel_against_torch_pruning,
        "times as fast as Torch-Pruning",
        at_least=3,
    ),
    Benchmark("evidence", recovery.evidence, "times evaluating as many", at_most=2.5),
    Benchmark("reconstruct-channel", recovery.channels, "s", at_most=0.5),
    Benchmark("reconstruct-fine", recovery.weights, "s"),
    Benchmark("compressed-bytes", files.compression, "s"),
    Benchmark("train", training.throughput, "of matrix products", at_least=0.85),
    Benchmark("tune", training.tuning, "of plain training", at_least=0.85),
    Benchmark("stored-answer", results.stored_answer, "ms", at_most=10),
    Benchmark("sweep-vs-prune", results.sweep_against_prune, "times as fast as processes"),
    Benchmark("scan", layers.scan_against_full, "times as fast as full", at_least=1.6),
    Benchmark("binning", layers.binning, "ms", at_most=50),
    Benchmark("close-up", app.close_up, "s", at_most=0.5),
    Benchmark("slider", app.slider, "s", at_most=0.3),
    Benchmark("predictions", app.predictions, "s", at_most=0.3),
    Benchmark("efficiency", app.efficiency, "s"),
    Benchmark("cold-start", app.cold_start, "s", at_most=6),
    Benchmark("baseline-load", files.baseline_load, "s", at_most=1),
)
ROW = "{:<32}{:>8}  {:<32}{:<10}{:<7}{}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    keep_freed_memory()
    try:
        chosen = choose(options.names)
        weights = network()[1]
        if not options.json:
            print(heading(weights, options.repeats))
        for benchmark in chosen:
            result = benchmark.run(options.repeats)
            line = json.dumps(result.to_json() | {"weights": weights})
            print(line if options.json else row(result), flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(names())}"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per benchmark")
    parser.add_argument(
        "--repeats",
        type=positive,
        default=7,
        metavar="N",
        help="timed runs per benchmark; default: 7",
    )
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a whole number from 1 on, not {text!r}")
    return int(text)


def names() -> list[str]:
    return [benchmark.name for benchmark in BENCHMARKS]


def choose(wanted: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks with these names, by default all. Raises InputError for others."""
    for name in wanted:
        if name not in names():
            raise InputError(f"There is no benchmark {name!r}: choose from {', '.join(names())}.")
    return [benchmark for benchmark in BENCHMARKS if not wanted or benchmark.name in wanted]


def heading(weights: str, repeats: int) -> str:
    device = best_device()
    precision = resolve_precision("auto", device)
    return (
        f"Weights: {weights}. Device: {device.type}, {precision}, "
        f"{torch.get_num_threads()} threads. Runs: {repeats}.\n"
        + ROW.format("name", "value", "unit", "target", "holds", "note")
    )


def row(result: Result) -> str:
    benchmark = result.benchmark
    target = "-" if benchmark.target is None else f"{benchmark.bound} {benchmark.target:g}"
    value, note = "-", f"Skipped. {result.skipped}"
    if result.measured is not None:
        value, note = readable(result.measured.value), result.measured.note
    holds = {True: "yes", False: "no", None: "-"}[result.holds]
    return ROW.format(benchmark.name, value, benchmark.unit, target, holds, note).rstrip()


def readable(value: float) -> str:
    """Format with three significant digits, or as a whole number from 100."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


if __name__ == "__main__":
    sys.exit(main())
