"""A process that only keeps results starts without torch, training and baselines."""

import subprocess
import sys
from pathlib import Path

KEEP_ONE_ROW = """
import sys
from pathlib import Path

import numpy as np

from core.measuring.outcome import Cost
from core.results import Key, Origin, Result, ResultStore
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

labels = np.arange(100, dtype=np.uint8) % 10
key = Key("checkpoint", PruningSpec("fine", 0.5), Recovery(), "data", 50, 1, "fp32")
cost = Cost(parameters=1, nonzero=1, macs=1, macs_nonzero=1.0, bytes=1)
origin = Origin("cpu", "none", 0.0, "2026-01-01")
store = ResultStore(Path(sys.argv[1]))
store.put([Result(key, labels[:50], labels[:50], 0.0, cost, None, origin)], labels)
assert store.has(key)
print(*sys.modules)
"""


def test_keeping_a_result_imports_neither_torch_nor_training(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KEEP_ONE_ROW, str(tmp_path / "results.sqlite")]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    imported = set(child.stdout.split())
    assert "core.results.store" in imported
    assert imported.isdisjoint(
        {"torch", "pandas", "scipy.stats", "core.training", "core.baselines"}
    )
