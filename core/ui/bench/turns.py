"""Whose turn it is to use the processor: one session at a time, first come, first served."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

SECONDS_BETWEEN_CHECKS = 0.1
Event = TypeVar("Event")


class Queue:
    """Tickets in the order in which they were drawn; the first one's holder may go."""

    def __init__(self) -> None:
        self._tickets: list[object] = []
        self._changed = threading.Condition()

    def join(self) -> object:
        ticket = object()
        with self._changed:
            self._tickets.append(ticket)
        return ticket

    def count_ahead(self, ticket: object, seconds: float) -> int:
        """How many go before it, after waiting at most so long until nobody does."""
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


@contextmanager
def evaluation_turn(notice: DeltaGenerator | None = None) -> Iterator[None]:
    """Wait until no other session evaluates; moving a control while waiting gives up the place.

    A wait is announced in the slot `notice`, or else where the page is.
    """
    queue = _evaluations()
    ticket = queue.join()
    try:
        if queue.count_ahead(ticket, 0):
            _wait(queue, ticket, notice or st.empty())
        yield
    finally:
        queue.leave(ticket)


def yield_to_evaluations(events: Iterator[Event], notice: DeltaGenerator) -> Iterator[Event]:
    """Pass the events of long work on, each worked out once everybody who came before is done.

    Nobody waits for the work in return: a step of training can take half a minute, so an evaluation
    that is asked for meanwhile begins at once, and the next step waits for it.
    """
    while True:
        with evaluation_turn(notice):
            pass
        try:
            event = next(events)
        except StopIteration:
            return
        yield event


def _wait(queue: Queue, ticket: object, notice: DeltaGenerator) -> None:
    # Each notice is also where Streamlit stops a session whose viewer moved on.
    while ahead := queue.count_ahead(ticket, SECONDS_BETWEEN_CHECKS):
        others = "1 evaluation" if ahead == 1 else f"{ahead} evaluations"
        notice.caption(
            f":material/hourglass_top: Waiting for {others} of other viewers, first come, first "
            "served …"
        )
    notice.empty()
