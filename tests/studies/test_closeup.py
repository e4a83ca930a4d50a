"""What is shown of a layer holds all of it: counts are conserved, and areas are where they are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.networks.layers import prunable_layers
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS
from core.studies.closeup import CloseUp, histogram, kernel_map, kernel_pictures
from tests.small_networks import make_magnitudes_distinct, random_network, random_vgg, wrap

shapes = st.lists(st.integers(1, 7), min_size=2, max_size=4).map(tuple)


def some_close_up(shape: tuple[int, ...], seed: int = 0, part: float = 0.5) -> CloseUp:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(shape, generator=generator)
    return CloseUp(weights, torch.rand(shape, generator=generator) >= part)


# What stays


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.8])
def test_what_stays_of_a_layer_is_what_the_pruned_network_has(method: str, ratio: float) -> None:
    for model in (random_network(), wrap(random_vgg())):
        make_magnitudes_distinct(model.module)
        pruner = Pruner(model)
        spec = PruningSpec(method, ratio)
        after = prunable_layers(pruner.prune(spec).network.module)
        for name, layer in model.layers.items():
            found = CloseUp.of(pruner, spec, name)
            assert torch.equal(found.weights, layer.weight)
            left = after[name].weight
            assert torch.equal(found.weights[found.kept], left[left != 0])


def test_the_threshold_is_the_largest_magnitude_that_goes() -> None:
    model = random_network()
    pruner = Pruner(model)
    weights = model.module.get_parameter("layer4.0.conv2.weight").detach()
    for allocation in ("uniform", "global", "lamp", "erk"):
        close_up = CloseUp.of(
            pruner, PruningSpec("fine", 0.6, allocation=allocation), "layer4.0.conv2"
        )
        assert close_up.threshold is not None
        assert torch.equal(close_up.kept, weights.abs() > close_up.threshold)
    for spec in (
        PruningSpec("fine", 0.0),
        PruningSpec("fine", 0.6, "random"),
        PruningSpec("channel", 0.6),
    ):
        assert CloseUp.of(pruner, spec, "layer4.0.conv2").threshold is None


# The distribution


@given(shapes, st.integers(0, 9), st.integers(1, 50))
def test_binning_conserves_counts(shape: tuple[int, ...], seed: int, bins: int) -> None:
    close_up = some_close_up(shape, seed)
    found = histogram(close_up, bins)
    assert found.kept.sum() == int(close_up.kept.sum())
    assert found.cut.sum() == int((~close_up.kept).sum())
    assert len(found.kept) == len(found.cut) == bins
    assert len(found.edges) == bins + 1
    assert found.edges[0] == -found.edges[-1]


def test_bins_are_those_of_numpy() -> None:
    close_up = some_close_up((40, 30, 3, 3))
    found = histogram(close_up)
    for counts, mask in ((found.kept, close_up.kept), (found.cut, ~close_up.kept)):
        expected, _ = np.histogram(close_up.weights[mask].numpy(), found.edges)
        # On the edge of two bins rounding decides.
        assert np.abs(counts - expected).sum() <= 4


def test_a_layer_of_zeros_lies_in_the_middle() -> None:
    found = histogram(CloseUp(torch.zeros(4, 4), torch.ones(4, 4, dtype=torch.bool)), 5)
    assert found.kept.tolist() == [0, 0, 16, 0, 0]


# The map


@given(shapes, st.integers(0, 9), st.integers(1, 60))
def test_the_map_conserves_what_stays_and_its_size(
    shape: tuple[int, ...], seed: int, most_cells: int
) -> None:
    close_up = some_close_up(shape, seed)
    found = kernel_map(close_up, most_cells)
    rows, columns = len(found.row_edges) - 1, len(found.column_edges) - 1
    assert found.kept.shape == found.norms.shape == (rows, columns)
    assert rows * columns <= most_cells
    assert (found.row_edges[-1], found.column_edges[-1]) == shape[:2]
    cells = np.diff(found.row_edges)[:, None] * np.diff(found.column_edges)
    assert (cells > 0).all()
    kernel_size = close_up.weights[0, 0].numel()
    assert (found.kept * cells).sum() * kernel_size == pytest.approx(int(close_up.kept.sum()))
    norms = (close_up.weights * close_up.kept).reshape(*shape[:2], -1).norm(dim=2)
    assert (found.norms * cells).sum() == pytest.approx(float(norms.sum()), rel=1e-4)


@pytest.mark.parametrize("stay", [(0, 0), (1, 1), (257, 5), (5, 257), (511, 511), (512, 512)])
def test_no_cell_of_the_map_is_half_removed(stay: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    outputs, inputs = (torch.randperm(512, generator=generator)[:number] for number in stay)
    kept = torch.zeros(512, 512, 1, 1, dtype=torch.bool)
    kept[outputs[:, None], inputs] = True
    found = kernel_map(CloseUp(torch.ones(512, 512, 1, 1), kept))
    assert set(np.unique(found.kept)) <= {0.0, 1.0}
    assert found.kept.shape == (31, 32)


@pytest.mark.parametrize(
    ("shape", "cells"),
    [((64, 3, 3, 3), (64, 3)), ((10, 512), (10, 100)), ((512, 512, 3, 3), (31, 32))],
)
def test_a_short_side_is_shown_whole(shape: tuple[int, ...], cells: tuple[int, int]) -> None:
    assert kernel_map(some_close_up(shape)).kept.shape == cells


def test_removed_channels_come_last() -> None:
    close_up = some_close_up((6, 4, 3, 3), part=0.0)
    close_up.kept[[1, 4]] = False
    close_up.kept[:, 0] = False
    found = kernel_map(close_up)
    assert (found.kept == 0).tolist() == [[False] * 3 + [True]] * 4 + [[True] * 4] * 2
    stays = close_up.weights[[0, 2, 3, 5]][:, 1:].flatten(2).norm(dim=2)
    assert found.norms[:4, :3] == pytest.approx(stays.numpy())


# The first layer's kernels


def test_kernels_are_pictures_on_one_scale() -> None:
    close_up = some_close_up((20, 3, 3, 3), part=0.0)
    close_up.kept[7] = False
    close_up.kept[2, :, 1, 1] = False
    picture = kernel_pictures(close_up, scale=2, gap=1)
    assert picture.shape == (2 * 7 - 1, 16 * 7 - 1, 4)
    assert picture.dtype == np.uint8
    most = float(close_up.weights.abs().max())
    for number in range(20):
        top, left = 7 * (number // 16), 7 * (number % 16)
        tile = picture[top : top + 6, left : left + 6].astype(int)
        if number == 7:
            assert set(tile[..., 3].flatten()) == {50, 255}
            continue
        assert (tile[..., 3] == 255).all()
        weights = (close_up.weights * close_up.kept)[number].permute(1, 2, 0).numpy()
        assert tile[::2, ::2, :3] == pytest.approx(127.5 + 127.5 * weights / most, abs=0.5)
        assert (tile[1::2, 1::2] == tile[::2, ::2]).all()
    assert (picture[6, :, 3] == 0).all()


def test_only_a_layer_that_sees_colours_has_kernels_in_colour() -> None:
    for shape in ((4, 5, 3, 3), (4, 3)):
        with pytest.raises(ValueError, match="colour"):
            kernel_pictures(some_close_up(shape))
