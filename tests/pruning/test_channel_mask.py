"""Filter masking against torch.nn.utils.prune.ln_structured."""

import copy
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

from core.errors import InputError
from core.networks.layers import prunable_layers
from core.pruning import Pruner, prune
from core.specs.pruning import PruningSpec
from tests.examples import expensive
from tests.small_networks import (
    followed,
    random_resnet,
    random_vgg,
    same_state,
    wrap,
)

PRUNER = Pruner(wrap(random_resnet()))


def convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    return {
        name: layer for name, layer in prunable_layers(model).items() if type(layer) is nn.Conv2d
    }


@pytest.mark.parametrize("ratio", [0.1, 0.37, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("criterion", "norm"), [("l1", 1), ("l2", 2)])
def test_every_tensor_equals_torch_ln_structured(ratio: float, criterion: str, norm: int) -> None:
    theirs = copy.deepcopy(PRUNER.baseline)
    for layer in convolutions(theirs.module).values():
        amount = min(round(ratio * layer.out_channels), layer.out_channels - 1)
        torch_prune.ln_structured(layer, "weight", amount, n=norm, dim=0)  # type: ignore[no-untyped-call]
        torch_prune.remove(layer, "weight")  # type: ignore[no-untyped-call]
    ours = PRUNER.prune(PruningSpec("channel-mask", ratio, criterion)).network.module
    assert not same_state(ours.state_dict(), PRUNER.baseline.module.state_dict())
    assert same_state(
        ours.state_dict(), theirs.module.state_dict()
    )  # classifier and batch-norm too


def test_l1_and_l2_choose_differently() -> None:
    l1, l2 = (
        PRUNER.prune(PruningSpec("channel-mask", 0.5, name)).network.module for name in ("l1", "l2")
    )
    assert not same_state(l1.state_dict(), l2.state_dict())


def test_bn_zeroes_the_filters_of_the_smallest_scales() -> None:
    batch_norms = dict(PRUNER.baseline.module.named_modules())
    after = convolutions(PRUNER.prune(PruningSpec("channel-mask", 0.5, "bn")).network.module)
    for name in after:
        behind = name.replace("conv", "bn").replace("downsample.0", "downsample.1")
        scales = batch_norms[behind].get_parameter("weight").abs().tolist()
        expected = sorted(range(len(scales)), key=scales.__getitem__)[: len(scales) // 2]
        zeroed = (after[name].weight == 0).flatten(1).all(1).nonzero().flatten().tolist()
        assert zeroed == sorted(expected)


def test_allocation_and_scope_are_ignored() -> None:
    expected = PRUNER.prune(PruningSpec("channel-mask", 0.5)).network.module.state_dict()
    for allocation, scope in product(("uniform", "global"), ("all", "internal")):
        spec = PruningSpec("channel-mask", 0.5, "l1", allocation, scope)
        assert same_state(PRUNER.prune(spec).network.module.state_dict(), expected)


@given(
    ratio=st.floats(0, 1),
    criterion=st.sampled_from(["l1", "l2", "bn", "random"]),
    seed=st.integers(0, 3),
)
@expensive(30)
def test_exactly_the_rounded_number_of_filters_becomes_zero_and_one_is_left(
    ratio: float, criterion: str, seed: int
) -> None:
    pruned = PRUNER.prune(PruningSpec("channel-mask", ratio, criterion, seed=seed)).network.module
    for layer in convolutions(pruned).values():
        zeroed = int((layer.weight == 0).flatten(1).all(1).sum())
        assert zeroed == min(round(ratio * layer.out_channels), layer.out_channels - 1)


def test_bn_is_refused_where_a_convolution_has_no_batch_norm() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(InputError, match="batch-norm"):
        prune(followed(model), PruningSpec("channel-mask", 0.5, "bn"))


def test_biases_are_left_alone() -> None:
    model = random_vgg()
    after = prune(followed(model), PruningSpec("channel-mask", 1.0)).network.module.state_dict()
    for name, tensor in model.state_dict().items():
        if name.endswith("bias"):
            assert torch.equal(after[name], tensor)
