"""Measure many prunings of one baseline and store the results; skip stored ones."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from core.results import Key, Result, ResultStore
from core.specs.point import Point
from core.specs.vocabulary import METHODS, NO_RECOVERY
from core.sweeps.ask import Answer, Turn, ask
from core.sweeps.measurer import Measurer

TRAINING = 6e-4  # time of training on an image, relative to evaluating 10,000 of them


@dataclass(frozen=True, eq=False)
class Progress:
    """The progress of a sweep; `result` is set when a point has been measured."""

    point: Point
    finished: int  # points finished, out of `missing`
    missing: int  # points missing when the sweep began
    seconds_left: float | None  # None until the first point is finished
    result: Result | None = None


def sweep(
    measurer: Measurer,
    points: Sequence[Point],
    store: ResultStore,
    turn: Turn = nullcontext,
    work: Callable[[Point], float] | None = None,
) -> Iterator[Progress]:
    """Measure the points that the store lacks, and store each result as soon as it is finished.

    The generator can be dropped, or its process killed, at any event: finished results are in the
    store, and the next sweep continues from there. Each point is measured within a `turn`, so that
    other sessions can run between two points; points that they measure meanwhile are skipped.
    `work` estimates the time of a point, in any unit, for `seconds_left`. Raises StoreError if
    results cannot be stored.
    """
    work = work or _work

    def keep(result: Result) -> None:
        store.put([result], measurer.test_labels)

    wanted: dict[Key, Point] = {}
    for point in points:
        wanted.setdefault(measurer.key(point), point)
    missing = {key: point for key, point in wanted.items() if not store.has(key)}
    to_do = sum(work(point) for point in missing.values())
    done = 0.0
    seconds_left = None
    started = time.perf_counter()
    for finished, (key, point) in enumerate(missing.items()):
        for event in ask(point, measurer, partial(store.get, key), keep, turn):
            if not isinstance(event, Answer):
                yield Progress(point, finished, len(missing), seconds_left)
                continue
            if event.is_new:
                done += work(point)
                seconds_left = (time.perf_counter() - started) * max(0.0, to_do - done) / done
            else:
                to_do -= work(point)
            result = event.result if event.is_new else None
            yield Progress(point, finished + 1, len(missing), seconds_left, result)


def _work(point: Point) -> float:
    """Estimate the time of a point, relative to evaluating the unpruned network."""
    kept = 1 - point.spec.ratio if METHODS[point.spec.method].prunes_groups else 1.0
    recovering = 0.0 if point.recovery.method == NO_RECOVERY else 0.3
    trained = TRAINING * point.recovery.images if point.recovery.trains else 0.0
    fitting = 0.3 if point.recovery.method == "reconstruct" else 0.0
    return 0.1 + fitting + (1 + recovering + trained) * kept**2
