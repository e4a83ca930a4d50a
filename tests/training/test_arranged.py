"""Convolutions in another arrangement against torch's own, and against the sums that they are."""

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.training.arranged import arranged, on_strided_pixels, side_by_side
from tests.small_networks import new_network


def gradients(output: torch.Tensor, of: list[torch.Tensor]) -> list[torch.Tensor]:
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return list(torch.autograd.grad((output * weights).sum(), of))


@pytest.mark.parametrize(
    ("number", "size", "stride"), list(product((1, 2, 7, 12, 24, 32), (1, 3, 4, 8), (1, 2)))
)
def test_rows_give_what_the_convolution_gives(number: int, size: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(number)
    convolution = nn.Conv2d(5, 6, 3, stride, padding=1, bias=False, dtype=torch.float64)
    images = torch.randn(number, 5, size, size, dtype=torch.float64, generator=generator)
    images.requires_grad_()
    expected = F.conv2d(images, convolution.weight, None, stride, 1)
    found = side_by_side(convolution, images)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for one, other in zip(
        gradients(found, [images, convolution.weight]),
        gradients(expected, [images, convolution.weight]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


def test_rows_are_wide_where_images_are_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[tuple[int, ...], bool]] = []
    plain = nn.Conv2d.forward

    def recorded(convolution: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(images.shape), images.is_contiguous(memory_format=torch.channels_last)))
        return plain(convolution, images)

    monkeypatch.setattr(nn.Conv2d, "forward", recorded)
    images = torch.zeros(32, 4, 8, 8).to(memory_format=torch.channels_last)
    side_by_side(nn.Conv2d(4, 4, 3, 2, padding=1), images)
    side_by_side(nn.Conv2d(4, 4, 3, 1, padding=1), images[:, :, :4, :4])
    side_by_side(nn.Conv2d(4, 4, 3, 1, padding=1), images)
    assert seen == [
        ((2, 4, 8, 16 * 10), True),
        ((2, 4, 4, 16 * 5), True),
        ((32, 4, 8, 8), True),
    ]


@pytest.mark.parametrize(
    ("channels", "size", "stride", "groups"),
    list(product((4, 8, 12), (1, 7, 8, 32), (2, 3), (1, 4))),
)
def test_picked_pixels_give_the_sum_over_channels(
    channels: int, size: int, stride: int, groups: int
) -> None:
    generator = torch.Generator().manual_seed(channels)
    convolution = nn.Conv2d(channels, 8, 1, stride, bias=True, groups=groups)
    images = torch.randn(32, channels, size, size, generator=generator)
    images = images.to(memory_format=torch.channels_last).requires_grad_()
    found = on_strided_pixels(convolution, images)
    seen = images.double()[:, :, ::stride, ::stride]
    seen = seen.reshape(32, groups, -1, *seen.shape[2:])
    weight = convolution.weight.double().reshape(groups, 8 // groups, -1)
    expected = torch.einsum("ngihw,goi->ngohw", seen, weight).flatten(1, 2)
    expected = expected + convolution.bias.double()[:, None, None]  # type: ignore[union-attr]
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(
        gradients(found, [images, convolution.weight]),
        gradients(expected, [images, convolution.weight]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_no_gradient_is_taken_through_a_1x1_convolution_with_a_stride(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strided: list[nn.Conv2d] = []
    plain = nn.Conv2d.forward

    def recorded(convolution: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        if convolution.kernel_size == (1, 1) and convolution.stride != (1, 1):
            strided.append(convolution)
        return plain(convolution, images)

    model = new_network()
    monkeypatch.setattr(nn.Conv2d, "forward", recorded)
    images = torch.zeros(8, 3, 32, 32)
    model.module(images)
    assert len(strided) == 3
    strided.clear()
    with arranged(model.module):
        model.module(images)
    assert strided == []


@pytest.mark.parametrize("departure", [{"dilation": 2, "padding": 1}, {"padding_mode": "reflect"}])
def test_other_convolutions_are_left_alone(departure: dict[str, Any]) -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3, **{"padding": 1, **departure}))
    images = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = model(images)
    with arranged(model):
        assert torch.equal(model(images), expected)


@pytest.mark.parametrize(("device", "touched"), [("cpu", True), ("meta", False)])
def test_a_network_elsewhere_than_on_a_processor_is_left_alone(device: str, touched: bool) -> None:
    model = new_network().module.to(device)
    with arranged(model):
        assert ("forward" in vars(model.conv1)) == touched
    assert "forward" not in vars(model.conv1)


def test_a_network_gives_the_same_and_is_left_as_it_was() -> None:
    model = new_network()
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = model.module.eval()(images)
    with arranged(model.module):
        torch.testing.assert_close(model.module(images), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="channels"), arranged(model.module):
        model.module(images[:, :1])
    assert not any("forward" in vars(module) for module in model.module.modules())
    assert torch.equal(model.module(images), expected)
