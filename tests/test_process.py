"""What is set for the whole process."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from core.process import spare_what_stays


class Node:
    """Such that only the garbage collector can free two that hold each other."""

    other: "Node"


def in_a_circle() -> Node:
    one, other = Node(), Node()
    one.other, other.other = other, one
    return one


@pytest.fixture
def not_spared() -> Iterator[None]:
    spare_what_stays.cache_clear()
    yield
    gc.unfreeze()
    spare_what_stays.cache_clear()


@pytest.mark.usefixtures("not_spared")
def test_the_collector_passes_over_what_stays_and_finds_all_that_is_newer() -> None:
    before = weakref.ref(in_a_circle())
    spare_what_stays()
    assert before() is None
    spared = gc.get_freeze_count()
    assert spared > 10_000

    after = weakref.ref(in_a_circle())
    spare_what_stays()
    assert gc.get_freeze_count() <= spared  # a second time would spare the garbage of pages
    gc.collect()
    assert after() is None
