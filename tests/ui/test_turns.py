"""Who evaluates first, and that nobody waits for one who has gone."""

import threading
import time
from collections.abc import Callable

from core.ui.bench.turns import Queue, my_turn

AT_ONCE = 5


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_tickets_are_served_in_the_order_drawn() -> None:
    queue = Queue()
    tickets = [queue.join() for _ in range(AT_ONCE)]
    assert [queue.ahead_of(ticket, 0) for ticket in tickets] == [0, 1, 2, 3, 4]
    queue.leave(tickets[2])  # moved on while waiting
    queue.leave(tickets[0])
    assert [queue.ahead_of(tickets[number], 0) for number in (1, 3, 4)] == [0, 1, 2]


def test_who_waits_is_woken_once_nobody_is_ahead() -> None:
    queue = Queue()
    first, second = queue.join(), queue.join()
    seen: list[int] = []
    waiting = threading.Thread(target=lambda: seen.append(queue.ahead_of(second, 30)))
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
        with my_turn():
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
        try:
            with my_turn():
                raise MovedOnError
        except MovedOnError:
            pass
