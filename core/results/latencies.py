"""Measured latencies, in a table of their own: they belong to a machine, costs to a network.

A latency compares a pruned network with its baseline under the same conditions. Those of this
machine are kept in SQLite; shipped ones (*.latency.csv) are read from the folder of checkpoints.
"""

import csv
import io
import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from core import paths
from core.errors import InputError
from core.files import written_atomically
from core.measuring.alternating import Speedup
from core.results.database import Database, Layout
from core.results.key import settings_of
from core.results.shipped import whole
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import PRECISIONS

LATENCY_SUFFIX = ".latency.csv"


@dataclass(frozen=True, order=True)
class Conditions:
    """What a latency depends on besides the network."""

    machine: str  # the processor and how many of its cores can be used
    device: str  # "cpu", "cuda" or "mps"
    runtime: str  # what runs the network
    precision: str  # "fp32" or "bf16"
    batch: int  # images
    threads: int
    versions: str  # of the runtime, such as "torch 2.15.0"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS or self.batch < 1 or self.threads < 1:
            raise InputError(f"A latency cannot be measured under the conditions {self}.")


@dataclass(frozen=True)
class LatencyKey:
    checkpoint: str  # fingerprint of the baseline's tensors
    architecture: str  # Signature.identity
    settings: str  # canonical JSON of the spec without its ratio, as in a result's key
    hundredths: int  # the ratio
    conditions: Conditions

    @classmethod
    def of(
        cls,
        checkpoint: str,
        architecture: str,
        spec: PruningSpec,
        conditions: Conditions,
        evidence: str = "",
    ) -> "LatencyKey":
        settings = settings_of(spec.canonical(), evidence)
        return cls(checkpoint, architecture, settings, round(100 * spec.ratio), conditions)


@dataclass(frozen=True)
class Latency:
    """How fast a pruned network runs a batch, beside its baseline."""

    key: LatencyKey
    speedup: Speedup
    work: float  # the part of the baseline's MACs that must be done: not removed, not on zeros
    peak_bytes: int  # of inputs and activations, in PyTorch, at the batch of the conditions
    reference_peak_bytes: int
    ran_on: str  # what computed, in the runtime's words, such as "CPUExecutionProvider"
    date: str  # ISO 8601, UTC
    file: str = ""  # the shipped file that it is from; "" if measured on this machine


def _text(text: str) -> str:
    if not text:  # a row that was cut short has no value
        raise ValueError("a value is missing")
    return text


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError(text)
    return number


def _part(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError(text)
    return number


COLUMNS: Mapping[str, Callable[[str], Any]] = {
    **{"checkpoint": _text, "architecture": _text, "settings": _text, "hundredths": whole},
    **{"machine": _text, "device": _text, "runtime": _text, "precision": _text},
    **{"batch": whole, "threads": whole, "versions": _text},
    **{"low": _positive, "median": _positive, "high": _positive},
    **{"seconds": _positive, "reference_seconds": _positive, "rounds": whole},
    **{"work": _part, "peak_bytes": whole, "reference_peak_bytes": whole},
    **{"ran_on": _text, "date": _text},
}
KEY_COLUMNS = tuple(COLUMNS)[:11]
MEASURED = ("work", "peak_bytes", "reference_peak_bytes", "ran_on", "date")
SQL_TYPES: Mapping[Callable[[str], Any], str] = {
    _text: "TEXT",
    whole: "INTEGER",
    _positive: "REAL",
    _part: "REAL",
}
SCHEMA = f"""
CREATE TABLE latencies (
    {", ".join(f"{name} {SQL_TYPES[kind]} NOT NULL" for name, kind in COLUMNS.items())},
    PRIMARY KEY ({", ".join(KEY_COLUMNS)})
);
"""
LAYOUT = Layout(version=1, schema=SCHEMA)
REPLACE = f"INSERT OR REPLACE INTO latencies ({', '.join(COLUMNS)}) VALUES (:{', :'.join(COLUMNS)})"


class LatencyStore:
    """The latencies measured on this machine, and those that are shipped.

    Any number of threads and processes may use it. `notes` are messages for the user.
    """

    def __init__(self, path: Path, folder: Path | None = None):
        self._database = Database(path, LAYOUT)
        self._folder = folder
        self._shipped: dict[Path, tuple[tuple[int, int], list[Latency]]] = {}  # cache, by version
        self._refusals: list[str] = []

    @property
    def notes(self) -> list[str]:
        trouble = [self._database.trouble] if self._database.trouble else []
        return [*self._database.notes, *trouble, *self._refusals]

    def put(self, latency: Latency) -> None:
        """Store a latency; replace one of the same key. Raises StoreError."""
        row = to_row(latency)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(REPLACE, row)

        self._database.write(write)

    def of(self, checkpoint: str) -> list[Latency]:
        """Return all latencies of a baseline: first those measured here, then shipped ones."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT * FROM latencies WHERE checkpoint = ? ORDER BY settings, hundredths",
                (checkpoint,),
            ).fetchall()
        )
        local = list(filter(None, map(_readable, rows)))
        known = {latency.key for latency in local}
        shipped = [
            latency
            for latency in self._read_shipped()
            if latency.key.checkpoint == checkpoint and latency.key not in known
        ]
        return [*local, *shipped]

    def _read_shipped(self) -> list[Latency]:
        files = self._folder.glob(f"*{LATENCY_SUFFIX}") if self._folder is not None else ()
        refusals: list[str] = []
        found: list[Latency] = []
        for path in sorted(files):
            try:
                stat = path.stat()
                version = (stat.st_size, stat.st_mtime_ns)
                if self._shipped.get(path, ((0, 0), []))[0] != version:
                    self._shipped[path] = (version, read_latencies(path))
            except (OSError, InputError) as error:
                refusals.append(str(error))
                continue
            found += self._shipped[path][1]
        self._refusals = refusals
        return found


def open_latencies(folder: Path | None = None) -> LatencyStore:
    """Open the latencies of a folder of checkpoints (default: CHECKPOINTS)."""
    folder = folder or paths.CHECKPOINTS
    return LatencyStore(folder / paths.LOCAL / "latencies.sqlite", folder)


def export_latencies(latencies: Sequence[Latency], path: Path, command: str) -> None:
    """Write a shipped file atomically, with the command that made it in its first line.

    Raises InputError if there is nothing to write, or if the folder cannot be written.
    """
    if not latencies:
        raise InputError(f"There are no latencies to write to {path}.")
    text = io.StringIO()
    text.write(f"# {command}\n")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rounded(to_row(each)) for each in _ordered(latencies))
    try:
        with written_atomically(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}).") from error


def read_latencies(path: Path) -> list[Latency]:
    """Read a shipped file. Raises InputError, with the line, for what `export` would not write."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            content = [(number, line) for number, line in enumerate(file, 1) if line[:1] != "#"]
        reader = csv.DictReader(line for _, line in content)
        rows = [(content[reader.line_num - 1][0], row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}). Get it again.") from error
    found = []
    for number, row in rows:
        try:
            values = {name: parse(row[name]) for name, parse in COLUMNS.items()}
            found.append(from_row(values, path.name))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number} cannot be read ({error}). Get it again."
            ) from error
    return found


def to_row(latency: Latency) -> dict[str, Any]:
    key, conditions = latency.key, latency.key.conditions
    values = asdict(conditions) | asdict(latency.speedup)
    values |= {name: getattr(key, name) for name in KEY_COLUMNS[:4]}
    values |= {name: getattr(latency, name) for name in MEASURED}
    return {name: values[name] for name in COLUMNS}


def from_row(row: Mapping[str, Any], file: str = "") -> Latency:
    """Undo `to_row`. Raises ValueError where settings are no JSON of a spec."""
    settings = json.loads(row["settings"])
    if not isinstance(settings, dict) or not 0 <= row["hundredths"] <= 100:
        raise ValueError("settings and hundredths should be those of a pruning")
    conditions = Conditions(**{field.name: row[field.name] for field in fields(Conditions)})
    named = {name: row[name] for name in KEY_COLUMNS[:4]}
    key = LatencyKey(**named, conditions=conditions)
    speedup = Speedup(**{field.name: row[field.name] for field in fields(Speedup)})
    return Latency(key, speedup, **{name: row[name] for name in MEASURED}, file=file)


def _readable(row: sqlite3.Row) -> Latency | None:
    """Return the latency of a row; None for one that is damaged, or of a later version."""
    try:
        return from_row(dict(row))
    except (ValueError, TypeError, KeyError):
        return None


def _ordered(latencies: Iterable[Latency]) -> list[Latency]:
    return sorted(
        latencies,
        key=lambda each: (
            each.key.settings,
            astuple(each.key.conditions),
            each.key.checkpoint,
            each.key.hundredths,
        ),
    )


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Round times and ratios to four digits: more are noise."""
    return {
        name: f"{value:.4g}" if COLUMNS[name] in (_positive, _part) else value
        for name, value in row.items()
    }
