"""Benchmarks of checkpoint files: loading a baseline, compressing a network."""

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.benchmark import Measured
from benchmarks.material import network
from benchmarks.timing import alternate
from core.measuring.cost import compressed_bytes
from core.networks import checkpoint


def baseline_load(repeats: int) -> Measured:
    """Measure the seconds to load a full-width checkpoint that is in the system's file cache."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baseline.safetensors"
        checkpoint.save(network()[0], path, "cifar10", {"kind": "pruned"})
        timings = alternate({"core": lambda _: checkpoint.load(path)}, repeats)
    return Measured(median(timings["core"]), timings)


def compression(repeats: int) -> Measured:
    """Measure the seconds to compute the compressed size of a network."""
    model, _ = network()
    timings = alternate({"core": lambda _: compressed_bytes(model.module)}, repeats)
    return Measured(median(timings["core"]), timings)
