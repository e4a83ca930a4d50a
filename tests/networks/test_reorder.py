"""Channels in another order: the same answers, and pruning cuts off the end."""

import pytest
import torch
from torch import Tensor

from core.networks.flow import follow
from core.networks.groups import Structure
from core.networks.reorder import reorder
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.studies.reordering import sort_channels
from tests.networks.kinds import KINDS
from tests.networks.removal import EXACT, doubled
from tests.small_networks import EXAMPLE, copy_of_state, new_network, wrap


def random_order(structure: Structure) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        group.name: torch.randperm(group.size, generator=generator) for group in structure.groups
    }


@pytest.mark.parametrize("name", KINDS)
def test_the_answers_stay(name: str) -> None:
    module = doubled(KINDS[name][0]())
    structure = follow(module, EXAMPLE)
    order = random_order(structure)
    reordered = reorder(module, structure.groups, order)
    x = torch.randn(
        2, *EXAMPLE[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    with torch.inference_mode():
        expected, found = module(x), reordered(x)
    assert (found - expected).abs().max() <= EXACT * expected.abs().max()
    if any(group.size > 2 for group in structure.groups):
        changed = zip(module.parameters(), reordered.parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in changed)


def test_sorting_changes_no_answer_and_puts_what_goes_last() -> None:
    network = new_network()
    before = copy_of_state(network.module)
    pruner = Pruner(network)
    spec = PruningSpec("channel", 0.5)
    found = sort_channels(pruner, spec)
    assert all(
        torch.equal(each, before[name]) for name, each in network.module.state_dict().items()
    )
    assert 0 < found.difference < EXACT
    assert found.groups == len(network.groups)
    kept = Pruner(found.network).kept_channels(spec)
    for group in network.groups:
        assert kept[group.name].tolist() == list(range(group.size - round(group.size / 2)))
    for name, scores in Pruner(found.network).channel_scores(spec).items():
        torch.testing.assert_close(
            scores, pruner.channel_scores(spec)[name].sort(descending=True).values
        )


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_network_can_be_sorted(name: str) -> None:
    network = wrap(KINDS[name][0]().eval())
    found = sort_channels(Pruner(network), PruningSpec("channel", 0.0, "first"))
    assert found.difference < 1e-9
