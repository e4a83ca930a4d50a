"""How far a measurement is, in one line."""

from collections.abc import Iterator

from streamlit.delta_generator import DeltaGenerator

from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.results import Result


def show_progress(slot: DeltaGenerator, what: str, event: Recovering | Evaluation | Result) -> None:
    """Fill `slot` with a bar; a result leaves it as it is."""
    match event:
        case Evaluation():
            slot.progress(event.seen / event.total, f"{what}: {event.accuracy:.1%}")
        case Recovering():
            slot.progress(event.done / event.total, f"{what} …")


def measured(
    slot: DeltaGenerator, what: str, events: Iterator[Recovering | Evaluation | Result]
) -> Result:
    """The result that the events end with, their progress shown in `slot` meanwhile.

    All events are taken, since the next measurement waits for the end of this one.
    """
    result = None
    for event in events:
        if isinstance(event, Result):
            result = event
        else:
            show_progress(slot, what, event)
    assert result is not None
    slot.empty()
    return result
