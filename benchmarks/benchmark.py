"""Benchmarks and their results."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class CannotRunError(Exception):
    """Something that a benchmark needs is missing; the message is for the user."""


@dataclass(frozen=True)
class Measured:
    value: float
    timings: dict[str, list[float]]  # seconds of each run, by side of the comparison
    note: str = ""
    target_applies: bool = True  # to this machine


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: `measure` takes the number of repeats; at most one bound is set."""

    name: str
    measure: Callable[[int], Measured]
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> float | None:
        return self.at_most if self.at_least is None else self.at_least

    @property
    def bound(self) -> str | None:
        """The comparison that the value should satisfy with the target."""
        if self.target is None:
            return None
        return "<=" if self.at_least is None else ">="

    def holds(self, value: float) -> bool | None:
        """Return whether the value meets the target; None if there is no target."""
        if self.at_least is not None:
            return value >= self.at_least
        return None if self.at_most is None else value <= self.at_most

    def run(self, repeats: int) -> "Result":
        try:
            return Result(self, self.measure(repeats))
        except CannotRunError as error:
            return Result(self, skipped=str(error))


@dataclass(frozen=True)
class Result:
    """The outcome of a benchmark: measured, or skipped with a reason."""

    benchmark: Benchmark
    measured: Measured | None = None
    skipped: str | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None if skipped or if it does not apply to this machine."""
        if self.measured is None or not self.measured.target_applies:
            return None
        return self.benchmark.holds(self.measured.value)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.benchmark.name,
            "value": self.measured.value if self.measured else None,
            "unit": self.benchmark.unit,
            "target": self.benchmark.target,
            "bound": self.benchmark.bound,
            "holds": self.holds,
            "timings": self.measured.timings if self.measured else {},
            "note": self.measured.note if self.measured else "",
            "skipped": self.skipped,
        }
