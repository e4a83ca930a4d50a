"""Convolutions in rows of images against torch's own on each image."""

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.training.side_by_side import convolve, side_by_side
from tests.networks import new_resnet


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
    found = convolve(convolution, images)
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
    convolve(nn.Conv2d(4, 4, 3, 2, padding=1), images)
    convolve(nn.Conv2d(4, 4, 3, 1, padding=1), images[:, :, :4, :4])
    convolve(nn.Conv2d(4, 4, 3, 1, padding=1), images)
    assert seen == [
        ((2, 4, 8, 16 * 10), True),
        ((2, 4, 4, 16 * 5), True),
        ((32, 4, 8, 8), True),
    ]


@pytest.mark.parametrize("departure", [{"dilation": 2, "padding": 1}, {"padding_mode": "reflect"}])
def test_other_convolutions_are_left_alone(departure: dict[str, Any]) -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3, **{"padding": 1, **departure}))
    images = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = model(images)
    with side_by_side(model):
        assert torch.equal(model(images), expected)


@pytest.mark.parametrize(("device", "arranged"), [("cpu", True), ("meta", False)])
def test_a_network_elsewhere_than_on_a_processor_is_left_alone(device: str, arranged: bool) -> None:
    model = new_resnet().to(device)
    with side_by_side(model):
        assert ("forward" in vars(model.conv1)) == arranged
    assert "forward" not in vars(model.conv1)


def test_a_network_gives_the_same_and_is_left_as_it_was() -> None:
    model = new_resnet()
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = model.eval()(images)
    with side_by_side(model):
        torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="channels"), side_by_side(model):
        model(images[:, :1])
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(model(images), expected)
