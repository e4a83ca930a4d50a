"""What excites a channel, against the outputs themselves."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.errors import InputError
from core.evidence.excitation import excitations
from core.networks import batch_norm
from core.networks.batch_norm import finished
from core.networks.network import Network
from tests.small_networks import (
    copy_of_state,
    followed,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
    same_state,
)

CPU = torch.device("cpu")
PICTURES = torch.randint(
    256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(4)
)
NETWORKS = pytest.mark.parametrize("make", [random_resnet, random_vgg, random_bottleneck_resnet])


def outputs(network: Network, layer: str) -> Tensor:
    """What a layer hands on, with the batch-norm after it, (N, channels, ...)."""
    last = network.structure.batch_norm_of.get(layer, layer)
    kept: list[Tensor] = []
    handle = network.module.get_submodule(last).register_forward_hook(
        lambda _, __, output: kept.append(output)
    )
    with torch.no_grad():
        network.module(network.inputs(PICTURES))
    handle.remove()
    return kept[0]


@NETWORKS
def test_peaks_are_the_largest_outputs(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_norm, "CALIBRATION_BATCH", 13)
    network = followed(make())
    before = copy_of_state(network.module)
    for layer in network.layers:
        found = finished(excitations(network, layer, PICTURES, "fp32", CPU))
        expected = outputs(network, layer)
        if expected.ndim == 2:
            expected = expected[:, :, None, None]
        torch.testing.assert_close(found.peaks, expected.amax((2, 3)), rtol=1e-3, atol=1e-3)
        is_map = isinstance(network.layers[layer], nn.Conv2d)
        assert found.map_size == (tuple(expected.shape[2:]) if is_map else None)
        flat = expected.flatten(2)
        there = flat.gather(2, found.places[..., None])[..., 0]
        torch.testing.assert_close(there, found.peaks, rtol=1e-3, atol=1e-3)
    assert same_state(network.module.state_dict(), before)


def test_the_strongest_come_first_with_their_places() -> None:
    network = followed(random_resnet())
    layer = "layer2.0.conv1"
    found = finished(excitations(network, layer, PICTURES, "fp32", CPU))
    assert found.map_size is not None
    height, width = found.map_size
    for channel in (0, 3):
        most = found.most(channel, 5)
        peaks = found.peaks[:, channel].numpy()
        assert [each.value for each in most] == sorted(peaks.tolist(), reverse=True)[:5]
        assert [each.image for each in most] == np.argsort(-peaks, kind="stable")[:5].tolist()
        for each in most:
            assert each.box is not None
            top, left, bottom, right = each.box
            row, column = round(top * height), round(left * width)
            assert row * width + column == found.places[each.image, channel]
            assert 0 <= top < bottom <= 1
            assert 0 <= left < right <= 1
            assert (bottom - top) * height == pytest.approx(1)
            assert (right - left) * width == pytest.approx(1)


def test_tokens_have_no_place_on_a_map() -> None:
    module = nn.Sequential(nn.Flatten(2), nn.Linear(64, 6), nn.Flatten(), nn.Linear(18, 10)).eval()
    network = followed(module)
    found = finished(excitations(network, "1", PICTURES, "fp32", CPU))
    assert found.map_size is None
    assert found.peaks.shape == (40, 6)
    assert found.most(2, 3)[0].box is None


class Apart(nn.Module):
    """A layer that never runs, and one that runs on halves of images."""

    def __init__(self) -> None:
        super().__init__()
        self.never = nn.Linear(4, 4)
        self.halves = nn.Linear(96, 6)
        self.last = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        halves = self.halves(x.reshape(-1, 96))
        answers: Tensor = self.last(halves.reshape(len(x), -1))
        return answers


@pytest.mark.parametrize("layer", ["never", "halves"])
def test_a_layer_that_does_not_run_on_whole_images_is_refused(layer: str) -> None:
    network = followed(Apart().eval())
    with pytest.raises(InputError, match="is not run by itself on whole images"):
        finished(excitations(network, layer, PICTURES, "fp32", CPU))
