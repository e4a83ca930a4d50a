"""Benchmarks of stored results: looking one up, and sweeping instead of single commands."""

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.benchmark import Measured
from benchmarks.material import images
from benchmarks.timing import alternate, speedup
from core.baselines.shelf import default_baseline
from core.measuring.outcome import Cost
from core.results import Key, Origin, Result, ResultStore
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

ROWS = 100_000
RATIOS = 96
TEST_IMAGES = 10_000
LOOK_UPS = 50  # in one timing
SWEPT_RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SWEPT_IMAGES = 1000


def stored_answer(repeats: int) -> Measured:
    """Measure the milliseconds to look up one result with predictions among 100,000 rows."""
    with tempfile.TemporaryDirectory() as folder:
        store = ResultStore(Path(folder) / "results.sqlite")
        keys = _fill(store)

        def look_up(_: int) -> None:
            for key in keys:
                found = store.find(key)
                assert found is not None
                assert found.evaluation.seen == TEST_IMAGES

        timings = alternate({"store": look_up}, repeats)
    return Measured(1000 * median(timings["store"]) / len(keys), timings)


def sweep_against_prune(repeats: int) -> Measured:
    """Compare one sweep of a curve with one `prune` process per point."""
    images()  # fill the cache before timing; raises CannotRunError if there are no images
    weights = default_baseline("cifar10")
    shared = ["--subset", SWEPT_IMAGES, "--baseline", weights, "--json"]
    with tempfile.TemporaryDirectory() as folder:

        def by_sweep(number: int) -> None:
            _run(
                *("sweep", "--methods", "channel", "--recoveries", "none"),
                *("--ratios", ",".join(map(str, SWEPT_RATIOS))),
                *("--store", Path(folder) / f"{number}.sqlite", *shared),
            )

        def by_prune(_: int) -> None:
            for ratio in SWEPT_RATIOS:
                _run("prune", "--method", "channel", "--ratio", ratio, *shared)

        timings = alternate({"sweep": by_sweep, "prune": by_prune}, repeats)
    note = f"{len(SWEPT_RATIOS)} points on {SWEPT_IMAGES:,} images"
    return Measured(speedup(timings, "sweep", "prune"), timings, note)


def _run(*arguments: object) -> None:
    command = [sys.executable, "-m", "core", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def _fill(store: ResultStore) -> Sequence[Key]:
    """Store 100,000 rows of many baselines; return some of their keys."""
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 10, (2, TEST_IMAGES), dtype=np.uint8)
    key = Key("0", PruningSpec("fine", 0.5), Recovery(), "data", TEST_IMAGES, 0, "fp32")
    cost = Cost(parameters=1, nonzero=1, macs=1, macs_nonzero=1.0, bytes=1)
    origin = Origin("cpu", "none", 0.0, "2026-01-01")
    store.put([Result(key, predictions, labels, 0.0, cost, None, origin)], labels)
    with closing(sqlite3.connect(store.path)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(results)")]
        changed = {"checkpoint": f"n.value / {RATIOS}", "hundredths": f"n.value % {RATIOS}"}
        connection.execute(
            f"WITH RECURSIVE n(value) AS (SELECT {RATIOS} UNION ALL SELECT value + 1 FROM n "
            f"WHERE value < {ROWS + RATIOS - 2}) "
            f"INSERT INTO results SELECT {', '.join(changed.get(c, c) for c in columns)} "
            "FROM results, n"
        )
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (ROWS,)
    return [
        Key(str(chosen), PruningSpec("fine", 0.01 + 0.01 * (chosen % 94)), *_rest(key))
        for chosen in rng.integers(1, ROWS // RATIOS, LOOK_UPS).tolist()
    ]


def _rest(key: Key) -> tuple[Recovery, str, int, int, str]:
    return key.recovery, key.data, key.subset, key.subset_seed, key.precision
