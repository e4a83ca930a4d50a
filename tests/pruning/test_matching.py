"""The ratio that leaves a wanted number of parameters."""

import pytest

from core.networks.layers import nonzero_parameters
from core.pruning import Pruner, ratio_that_removes
from core.specs.pruning import PruningSpec
from tests.small_networks import random_resnet, wrap


@pytest.mark.parametrize("method", ["fine", "channel"])
@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.8])
def test_no_other_ratio_comes_nearer(method: str, part: float) -> None:
    pruner = Pruner(wrap(random_resnet()))
    everything = sum(nonzero_parameters(pruner.baseline.module).values())

    def miss(ratio: float) -> float:
        left = sum(
            nonzero_parameters(pruner.prune(PruningSpec(method, ratio)).network.module).values()
        )
        return abs(left - everything * (1 - part))

    found = ratio_that_removes(pruner, PruningSpec(method, 0), part)
    assert miss(found) == min(miss(hundredths / 100) for hundredths in range(96))


def test_what_cannot_be_reached_is_approached() -> None:
    pruner = Pruner(wrap(random_resnet()))
    assert ratio_that_removes(pruner, PruningSpec("channel", 0, scope="internal"), 0.95) == 0.95
