"""Timing a generator without what is done between its events."""

import time
from collections.abc import Generator
from typing import TypeVar

Event = TypeVar("Event")
Made = TypeVar("Made")


class Stopwatch:
    """Adds up the seconds that generators take, without the time of those who read their events."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, steps: Generator[Event, None, Made]) -> Generator[Event, None, Made]:
        """Pass on every event, and what the generator returns."""
        while True:
            started = time.perf_counter()
            try:
                event = next(steps)
            except StopIteration as end:
                made: Made = end.value
                return made
            finally:
                self.seconds += time.perf_counter() - started
            yield event
