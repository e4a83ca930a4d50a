"""The progress of a measurement, in one line."""

from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from streamlit.delta_generator import DeltaGenerator

from core.formatting import percent
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.sweeps.reading import Reading

Step = TypeVar("Step")
Made = TypeVar("Made")


def show_progress(
    slot: DeltaGenerator, what: str, event: Recovering | Evaluation | Reading
) -> None:
    """Show a progress bar in `slot`; ignore a `Reading`."""
    match event:
        case Evaluation():
            slot.progress(event.seen / event.total, f"{what}: {percent(event.accuracy)}")
        case Recovering():
            slot.progress(event.done / event.total, f"{what} …")


def measured(
    slot: DeltaGenerator, what: str, events: Iterator[Recovering | Evaluation | Reading]
) -> Reading:
    """Consume `events`, show their progress in `slot`, and return the final reading.

    Always exhaust the generator: it holds a turn that the next measurement waits for.
    """
    reading = None
    for event in events:
        if isinstance(event, Reading):
            reading = event
        else:
            show_progress(slot, what, event)
    assert reading is not None
    slot.empty()
    return reading


def followed(steps: Generator[Step, None, Made], show: Callable[[Step], object]) -> Made:
    """Run long work to its end, show each of its events, and return what it makes."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            made: Made = end.value
            return made
        show(event)


def duration(seconds: float) -> str:
    """Format a time, such as 0.4 s, 35 s or 4 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
