"""Look up one result, or measure and store it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.results import Result
from core.specs.point import Point
from core.sweeps.measurer import Measurer

Turn = Callable[[], AbstractContextManager[None]]
Event = Recovering | Evaluation


@dataclass(frozen=True, eq=False)
class Answer:
    """The final event of `ask`."""

    result: Result
    is_new: bool  # measured now


def ask(
    point: Point,
    measurer: Measurer,
    known: Callable[[], Result | None],
    keep: Callable[[Result], None],
    turn: Turn = nullcontext,
) -> Iterator[Event | Answer]:
    """Yield progress and finally the answer: known, or measured within a turn and kept.

    Look the result up again within the turn: another process may have measured it while waiting.
    """
    if found := known():
        yield Answer(found, is_new=False)
        return
    with turn():
        if found := known():
            yield Answer(found, is_new=False)
            return
        for event in measurer.measure(point):
            if isinstance(event, Result):
                keep(event)
                yield Answer(event, is_new=True)
            else:
                yield event
