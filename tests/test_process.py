"""What is set for the whole process."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from core.process import freeze_imported_objects


class Node:
    """Such that only the garbage collector can free two that hold each other."""

    other: "Node"


def in_a_circle() -> Node:
    one, other = Node(), Node()
    one.other, other.other = other, one
    return one


@pytest.fixture
def not_spared() -> Iterator[None]:
    freeze_imported_objects.cache_clear()
    yield
    gc.unfreeze()
    freeze_imported_objects.cache_clear()


@pytest.mark.usefixtures("not_spared")
def test_the_collector_passes_over_what_stays_and_finds_all_that_is_newer() -> None:
    before = weakref.ref(in_a_circle())
    freeze_imported_objects()
    assert before() is None
    spared = gc.get_freeze_count()
    assert spared > 10_000

    after = weakref.ref(in_a_circle())
    freeze_imported_objects()
    assert gc.get_freeze_count() <= spared  # a second time would spare the garbage of pages
    gc.collect()
    assert after() is None
