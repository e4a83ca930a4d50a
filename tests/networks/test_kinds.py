"""Networks of many kinds: what is removed is what a full network may ignore, and the rest stays."""

from collections.abc import Callable

import pytest
from torch import nn

from tests.networks.kinds import KINDS
from tests.networks.removal import check_removal, doubled, widths_after
from tests.small_networks import EXAMPLE

every_kind = pytest.mark.parametrize(("make", "widths"), KINDS.values(), ids=KINDS)


@every_kind
def test_removal_equals_ignoring_and_is_as_wide_as_it_can_be(
    make: Callable[[], nn.Module], widths: list[int]
) -> None:
    module = doubled(make())
    structure = check_removal(module, EXAMPLE)
    assert list(widths_after(module, structure).values()) == widths
