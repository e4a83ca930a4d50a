"""How far a measurement is, in one line."""

from collections.abc import Iterator

from streamlit.delta_generator import DeltaGenerator

from core.formatting import percent
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.sweeps.reading import Reading


def show_progress(
    slot: DeltaGenerator, what: str, event: Recovering | Evaluation | Reading
) -> None:
    """Fill `slot` with a bar; a reading leaves it as it is."""
    match event:
        case Evaluation():
            slot.progress(event.seen / event.total, f"{what}: {percent(event.accuracy)}")
        case Recovering():
            slot.progress(event.done / event.total, f"{what} …")


def measured(
    slot: DeltaGenerator, what: str, events: Iterator[Recovering | Evaluation | Reading]
) -> Reading:
    """The reading that the events end with, their progress shown in `slot` meanwhile.

    All events are taken, since the next measurement waits for the end of this one.
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
