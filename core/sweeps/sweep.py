"""Many prunings of one baseline, measured and kept: only what the store does not have yet."""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from core.results import Key, Result, ResultStore
from core.specs.point import Point
from core.specs.vocabulary import METHODS
from core.sweeps.ask import Answer, Turn, ask
from core.sweeps.measurer import Measurer


@dataclass(frozen=True, eq=False)
class Progress:
    """Of a sweep: `result` is set where a point was measured."""

    point: Point
    finished: int  # points, of those that were missing
    missing: int  # points, when the sweep began
    seconds_left: float | None  # None until the first point is finished
    result: Result | None = None


def sweep(
    measurer: Measurer,
    points: Sequence[Point],
    store: ResultStore,
    turn: Turn = nullcontext,
) -> Iterator[Progress]:
    """Measure the points that the store lacks, and keep each as soon as it is finished.

    The generator can be dropped, or its process killed, at any event: what was finished is in the
    store, and the next sweep goes on from there. Each point is measured within a `turn`, so that
    others can have theirs between two points; what one of them measured meanwhile is not measured
    again. Raises StoreError where nothing can be kept.
    """

    def keep(result: Result) -> None:
        store.put([result], measurer.test_labels)

    wanted: dict[Key, Point] = {}
    for point in points:
        wanted.setdefault(measurer.key(point), point)
    missing = {key: point for key, point in wanted.items() if not store.has(key)}
    work = sum(_work(point) for point in missing.values())
    done = 0.0
    seconds_left = None
    started = time.perf_counter()
    for finished, (key, point) in enumerate(missing.items()):
        for event in ask(point, measurer, partial(store.get, key), keep, turn):
            if not isinstance(event, Answer):
                yield Progress(point, finished, len(missing), seconds_left)
                continue
            if event.is_new:
                done += _work(point)
                seconds_left = (time.perf_counter() - started) * max(0.0, work - done) / done
            else:
                work -= _work(point)
            result = event.result if event.is_new else None
            yield Progress(point, finished + 1, len(missing), seconds_left, result)


def _work(point: Point) -> float:
    """About how long a point takes, of what the unpruned network takes."""
    kept = 1 - point.spec.ratio if METHODS[point.spec.method].prunes_groups else 1.0
    recovering = 0.3 if point.recovery.method == "bn" else 0.0
    return 0.1 + (1 + recovering) * kept**2
