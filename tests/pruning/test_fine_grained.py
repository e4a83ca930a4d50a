"""Fine-grained pruning against torch.nn.utils.prune and a sort by brute force."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from core.networks.flow import follow
from core.networks.layers import prunable_layers
from core.pruning import Pruner, prune
from core.pruning.selection import RankedScores, lowest_indices
from core.specs.pruning import PruningSpec
from tests.small_networks import (
    EXAMPLE,
    followed,
    make_magnitudes_distinct,
    pruned_by,
    random_resnet,
    random_vgg,
    with_structure,
)

RATIOS = [0.1, 0.37, 0.5, 0.9, 0.99]


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: layer.weight.detach() for name, layer in prunable_layers(model).items()}


def pruned_by_torch(model: nn.Module, ratio: float, allocation: str) -> dict[str, Tensor]:
    """The weights after torch's own pruning of exactly round(ratio * n)."""
    duplicate = copy.deepcopy(model)
    layers = prunable_layers(duplicate)
    if allocation == "uniform":
        for layer in layers.values():
            amount = round(ratio * layer.weight.numel())
            torch_prune.l1_unstructured(layer, "weight", amount)  # type: ignore[no-untyped-call]
    else:
        torch_prune.global_unstructured(
            [(layer, "weight") for layer in layers.values()],
            torch_prune.L1Unstructured,
            amount=round(ratio * sum(layer.weight.numel() for layer in layers.values())),
        )
    return weights(duplicate)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_equals_torch_where_no_magnitudes_are_equal(ratio: float, allocation: str) -> None:
    model = random_resnet()
    make_magnitudes_distinct(model)
    ours = weights(pruned_by(model, PruningSpec("fine", ratio, allocation=allocation)))
    theirs = pruned_by_torch(model, ratio, allocation)
    for name, weight in weights(model).items():
        assert torch.equal(ours[name], theirs[name])
        survives = ours[name] != 0
        assert torch.equal(ours[name][survives], weight[survives])


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_what_is_left_equals_torch_where_many_are_equal(ratio: float, allocation: str) -> None:
    model = random_resnet().half().float()
    magnitudes = torch.cat([weight.flatten().abs() for weight in weights(model).values()])
    assert len(torch.unique(magnitudes)) < len(magnitudes) / 2  # else the test would show nothing
    ours = weights(pruned_by(model, PruningSpec("fine", ratio, allocation=allocation)))
    theirs = pruned_by_torch(model, ratio, allocation)
    if allocation == "global":
        ours = {"all": torch.cat([weight.flatten() for weight in ours.values()])}
        theirs = {"all": torch.cat([weight.flatten() for weight in theirs.values()])}
    for name, weight in ours.items():
        assert torch.equal(weight.abs().flatten().sort()[0], theirs[name].abs().flatten().sort()[0])


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_of_equal_magnitudes_the_first_go(allocation: str) -> None:
    model = random_vgg()
    with torch.no_grad():
        for weight in weights(model).values():
            weight.mul_(4).round_().add_(0.5)  # few distinct magnitudes, none of them 0
    before = [weight.flatten().numpy().copy() for weight in weights(model).values()]
    after = weights(
        prune(
            followed(model),
            PruningSpec("fine", 0.4, allocation=allocation),
        ).network.module
    )
    expected = [np.concatenate(before)] if allocation == "global" else before
    for flat in expected:
        flat[np.argsort(np.abs(flat), kind="stable")[: round(0.4 * len(flat))]] = 0
    actual = np.concatenate([weight.flatten().numpy() for weight in after.values()])
    np.testing.assert_array_equal(actual, np.concatenate(expected))


@given(
    scores=st.lists(st.integers(0, 5), min_size=1, max_size=40),
    part=st.floats(0, 1),
)
def test_exactly_the_lowest_by_value_then_position_are_chosen(
    scores: list[int], part: float
) -> None:
    number = round(part * len(scores))
    by_hand = sorted(range(len(scores)), key=lambda position: (scores[position], position))
    expected = sorted(by_hand[:number])
    tensor = torch.tensor(scores, dtype=torch.float32)
    assert RankedScores(tensor).lowest(number).nonzero().flatten().tolist() == expected
    assert lowest_indices(tensor, number).tolist() == expected


VGG_PRUNER = Pruner(with_structure(random_vgg(), follow(random_vgg(), EXAMPLE)))


@given(
    ratio=st.floats(0, 1),
    criterion=st.sampled_from(["l1", "l2", "random"]),
    allocation=st.sampled_from(["uniform", "global"]),
)
def test_exactly_the_rounded_number_of_weights_becomes_zero(
    ratio: float, criterion: str, allocation: str
) -> None:
    pruned = VGG_PRUNER.prune(PruningSpec("fine", ratio, criterion, allocation)).network.module
    zeros = [int((weight == 0).sum()) for weight in weights(pruned).values()]
    sizes = [weight.numel() for weight in weights(VGG_PRUNER.baseline.module).values()]
    if allocation == "global":
        zeros, sizes = [sum(zeros)], [sum(sizes)]
    assert zeros == [round(ratio * size) for size in sizes]


@pytest.mark.parametrize("criterion", ["l1", "random"])
def test_biases_and_batch_norm_are_left_alone(criterion: str) -> None:
    model = random_resnet()
    prunable = {f"{name}.weight" for name in prunable_layers(model)}
    after = pruned_by(model, PruningSpec("fine", 1, criterion)).state_dict()
    for name, tensor in model.state_dict().items():
        if name in prunable:
            assert not after[name].any()
        else:
            assert torch.equal(after[name], tensor)
            assert tensor.any() or "num_batches" in name


def test_l2_is_l1() -> None:
    l1, l2 = (pruned_by(random_resnet(), PruningSpec("fine", 0.5, name)) for name in ("l1", "l2"))
    for first, second in zip(weights(l1).values(), weights(l2).values(), strict=True):
        assert torch.equal(first, second)


def test_random_does_not_look_at_magnitudes() -> None:
    model = random_resnet()
    make_magnitudes_distinct(model)
    after = weights(pruned_by(model, PruningSpec("fine", 0.5, "random")))
    left = torch.cat([weight[weight != 0].abs() for weight in after.values()])
    assert left.mean().item() == pytest.approx(0.5, abs=0.02)  # 0.75 were it by magnitude
