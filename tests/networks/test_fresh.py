"""New networks: their widths, and that nothing in them is left to chance."""

import pytest
import torch
from torch import nn

from core.errors import InputError
from core.networks.fresh import initialise
from tests.small_networks import Widths, copy_of_state, new_network, same_state, widths_of


@pytest.mark.parametrize("width", [1, 8, 64, 96])
def test_every_layer_is_as_wide_as_asked_for(width: int) -> None:
    network = new_network(width)
    assert widths_of(network.module) == Widths.regular(width)
    assert network.module(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("width", [0, -1, 257, 2.0, True])
def test_other_widths_are_refused(width: int) -> None:
    with pytest.raises(InputError, match="width must be 1 to 256"):
        new_network(width)


def test_nothing_stays_as_it_was_in_memory() -> None:
    """Also biases of convolutions, and layers without any."""
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3, bias=False),
        nn.Flatten(),
        nn.Linear(4, 4, bias=False),
        nn.Linear(4, 2),
    )
    states = []
    for garbage in (torch.nan, 7.0):
        with torch.no_grad():
            for tensor in module.state_dict().values():
                tensor.fill_(garbage if tensor.is_floating_point() else 5)
        initialise(module, seed=3)
        states.append(copy_of_state(module))
    assert same_state(*states)
    assert all(torch.isfinite(tensor).all() for tensor in states[0].values())


def test_each_block_starts_as_its_shortcut() -> None:
    layers = dict(new_network(8).module.named_modules())
    last = {name for name in layers if name.endswith("bn2")}
    assert len(last) == 8
    for name, layer in layers.items():
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == (0 if name in last else 1)).all()
