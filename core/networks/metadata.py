"""Check a checkpoint's metadata about its training, and record its provenance."""

import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import torch

BASELINE_FIELDS = {"data": dict, "accuracy": dict}
"""Required metadata of a baseline, which other code relies on."""

TRAINING_FIELDS = {
    "epochs": int,
    "seed": int,
    "held_out": int,
    "recipe": dict,
    "history": dict,
    "imported": dict,
}
"""Optional metadata, which is only used to describe the training."""


def unusable_entry(metadata: Mapping[str, Any]) -> str | None:
    """Return the first missing or invalid entry of a baseline's metadata, or None."""
    kinds = BASELINE_FIELDS | {n: kind for n, kind in TRAINING_FIELDS.items() if n in metadata}
    for name, kind in kinds.items():
        if not isinstance(metadata.get(name), kind):
            return name
    correct, seen = (metadata["accuracy"].get(name) for name in ("correct", "seen"))
    if not (isinstance(correct, int) and isinstance(seen, int) and 0 <= correct <= seen > 0):
        return "accuracy"
    if not isinstance(metadata["data"].get("fingerprint"), str):
        return "data"
    if not all(map(_is_start, earlier_trainings(metadata))):
        return "started_from"
    teachers = metadata.get("teachers") or []
    if not (isinstance(teachers, list) and all(isinstance(each, str) for each in teachers)):
        return "teachers"
    return None


def earlier_trainings(metadata: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the training that a baseline started from, the one before that, and so on."""
    start = metadata.get("started_from")
    while start is not None:
        yield start
        start = start.get("started_from") if isinstance(start, dict) else None


def _is_start(start: Any) -> bool:
    return (
        isinstance(start, dict)
        and isinstance(start.get("fingerprint"), str)
        and isinstance(start.get("epochs"), int)
        and isinstance(start.get("recipe") or {}, dict)  # older files have none
    )


def provenance() -> dict[str, Any]:
    """Return library versions, machine type and git commit, for the metadata."""
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "safetensors": version("safetensors"),
        },
        "machine": f"{platform.system()} {platform.machine()}",
        "commit": _git_commit(),
    }


def _git_commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None  # no git on this machine
    return done.stdout.strip() or None
