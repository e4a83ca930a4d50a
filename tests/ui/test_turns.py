"""Who evaluates first, and that nobody waits for one who has gone."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import streamlit as st

from core.ui.bench import turns
from core.ui.bench.turns import Queue, evaluation_turn, yield_to_evaluations

AT_ONCE = 5


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_tickets_are_served_in_the_order_drawn() -> None:
    queue = Queue()
    tickets = [queue.join() for _ in range(AT_ONCE)]
    assert [queue.count_ahead(ticket, 0) for ticket in tickets] == [0, 1, 2, 3, 4]
    queue.leave(tickets[2])  # moved on while waiting
    queue.leave(tickets[0])
    assert [queue.count_ahead(tickets[number], 0) for number in (1, 3, 4)] == [0, 1, 2]


def test_who_waits_is_woken_once_nobody_is_ahead() -> None:
    queue = Queue()
    first, second = queue.join(), queue.join()
    seen: list[int] = []
    waiting = threading.Thread(target=lambda: seen.append(queue.count_ahead(second, 30)))
    waiting.start()
    queue.leave(first)
    waiting.join(30)
    assert seen == [0]


def test_sessions_take_turns_in_the_order_they_came_and_never_two_at_once() -> None:
    going = [threading.Event() for _ in range(AT_ONCE)]
    came: list[int] = []
    went: list[int] = []
    inside: list[int] = []

    def session(number: int) -> None:
        came.append(number)
        with evaluation_turn():
            inside.append(number)
            assert len(inside) == 1
            went.append(number)
            going[number].wait(30)
            inside.remove(number)

    threads = []
    for number in range(AT_ONCE):
        threads.append(threading.Thread(target=session, args=(number,)))
        threads[-1].start()
        wait_until(lambda number=number: number in came)  # type: ignore[misc]
        time.sleep(0.05)  # from coming to drawing a ticket
    for event in going:
        event.set()
    for thread in threads:
        thread.join(30)
    assert went == list(range(AT_ONCE))


def test_a_turn_that_fails_is_given_on() -> None:
    class MovedOnError(Exception):
        pass

    for _ in range(2):
        with pytest.raises(MovedOnError), evaluation_turn():
            raise MovedOnError


class Session(threading.Thread):
    """One that evaluates until it is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with evaluation_turn():
            self.has_begun.set()
            assert self.may_end.wait(30)

    def end(self) -> None:
        self.may_end.set()
        self.join(30)


def test_training_waits_between_steps_for_evaluations_which_never_wait_for_a_step() -> None:
    tickets = turns._evaluations()._tickets
    begun: list[int] = []
    may_end = [threading.Event() for _ in range(3)]
    told: list[int] = []

    def steps() -> Iterator[int]:
        for number, event in enumerate(may_end):
            begun.append(number)
            assert event.wait(30)
            yield number

    def train() -> None:
        told.extend(yield_to_evaluations(steps(), st.empty()))

    first = Session()
    assert first.has_begun.wait(30)
    training = threading.Thread(target=train)
    training.start()
    wait_until(lambda: len(tickets) == 2)
    assert begun == []
    first.end()
    wait_until(lambda: begun == [0])

    second = Session()
    assert second.has_begun.wait(30)  # while the first step is under way
    may_end[0].set()
    wait_until(lambda: len(tickets) == 2)
    assert begun == [0]
    second.end()
    wait_until(lambda: begun == [0, 1])

    for event in may_end:
        event.set()
    training.join(30)
    assert told == [0, 1, 2]
    assert not tickets
