"""A queue for the processor: one session evaluates at a time, in order of arrival."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

SECONDS_BETWEEN_CHECKS = 0.1
Event = TypeVar("Event")


class Queue:
    """A first-in, first-out queue; the holder of the first ticket may run."""

    def __init__(self) -> None:
        self._tickets: list[object] = []
        self._changed = threading.Condition()

    def join(self) -> object:
        ticket = object()
        with self._changed:
            self._tickets.append(ticket)
        return ticket

    def count_ahead(self, ticket: object, seconds: float) -> int:
        """Wait up to `seconds` until `ticket` is first; return how many tickets are ahead of it."""
        with self._changed:
            self._changed.wait_for(lambda: self._tickets[0] is ticket, seconds)
            return self._tickets.index(ticket)

    def leave(self, ticket: object) -> None:
        with self._changed:
            self._tickets.remove(ticket)
            self._changed.notify_all()


@st.cache_resource
def _evaluations() -> Queue:
    return Queue()


@st.cache_resource
def _tunings() -> Queue:
    return Queue()


def evaluation_turn(notice: DeltaGenerator | None = None) -> AbstractContextManager[None]:
    """Wait until no other session evaluates, then hold the turn within the block.

    Moving a control while waiting leaves the queue. The slot `notice` shows that the session
    waits; by default the notice appears at the current position of the page.
    """
    return _turn(_evaluations(), "evaluation", notice)


def tuning_turn(notice: DeltaGenerator) -> AbstractContextManager[None]:
    """Wait until no other session fine-tunes, then hold the turn within the block."""
    return _turn(_tunings(), "training", notice)


@contextmanager
def _turn(queue: Queue, what: str, notice: DeltaGenerator | None) -> Iterator[None]:
    ticket = queue.join()
    try:
        if queue.count_ahead(ticket, 0):
            _wait(queue, ticket, what, notice or st.empty())
        yield
    finally:
        queue.leave(ticket)


def yield_to_evaluations(events: Iterator[Event], notice: DeltaGenerator) -> Iterator[Event]:
    """Pass on the events of a long task, letting waiting evaluations run before each event.

    The task holds no turn itself, since one training step can take half a minute: an evaluation
    requested during a step starts at once, and the next step waits for it.
    """
    while True:
        with evaluation_turn(notice):
            pass
        try:
            event = next(events)
        except StopIteration:
            return
        yield event


def _wait(queue: Queue, ticket: object, what: str, notice: DeltaGenerator) -> None:
    # Updating the notice also lets Streamlit stop a session whose viewer has moved on.
    while ahead := queue.count_ahead(ticket, SECONDS_BETWEEN_CHECKS):
        others = f"1 {what}" if ahead == 1 else f"{ahead} {what}s"
        notice.caption(
            f":material/hourglass_top: Waiting for {others} of other viewers to finish …"
        )
    notice.empty()
