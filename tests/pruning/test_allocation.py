"""Who gives up how much: LAMP and ERK against their formulas, and ratios of a layer's own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from core.errors import InputError
from core.networks.layers import prunable_layers
from core.pruning import prune
from core.pruning.allocation import (
    counts_below_one_threshold,
    erdos_renyi_kernel_counts,
    lamp_scores,
)
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS
from tests.small_networks import (
    make_magnitudes_distinct,
    pruned_by,
    random_resnet,
    same_state,
    wrap,
)


def lamp_as_published(weights: np.ndarray) -> np.ndarray:
    """Equation 3 of the paper, weight by weight, in the order of the squares."""
    order = sorted(range(len(weights)), key=lambda index: (abs(weights[index]), index))
    scores = np.empty(len(weights))
    for rank, index in enumerate(order):
        rest = math.fsum(float(weights[other]) ** 2 for other in order[rank:])
        scores[index] = float(weights[index]) ** 2 / rest if rest else 0.0
    return scores


@given(st.lists(st.floats(-4, 4, width=16), min_size=1, max_size=40))
def test_lamp_is_its_formula(values: list[float]) -> None:
    scores = lamp_scores(torch.tensor(values).abs())
    assert scores.numpy() == pytest.approx(lamp_as_published(np.array(values)), rel=1e-5, abs=1e-30)


def test_lamp_removes_the_lowest_scores_of_all_layers() -> None:
    model = random_resnet()
    make_magnitudes_distinct(model)
    layers = prunable_layers(model)
    scores = {
        name: lamp_as_published(layer.weight.detach().flatten().numpy())
        for name, layer in layers.items()
        if layer.weight.numel() < 3000  # a sum for each weight takes its time
    }
    spec = PruningSpec(
        "fine",
        0.4,
        allocation="lamp",
        overrides=tuple((name, 0.0) for name in layers if name not in scores),
    )
    pruned = prunable_layers(pruned_by(model, spec))
    zeroed = np.concatenate([(pruned[name].weight == 0).flatten().numpy() for name in scores])
    together = np.concatenate(list(scores.values()))
    assert zeroed.sum() == round(0.4 * len(together))
    assert together[zeroed].max() <= together[~zeroed].min()
    assert all((pruned[name].weight != 0).any() for name in scores)


SHAPES = {"stem": (64, 3, 3, 3), "wide": (512, 512, 3, 3), "down": (128, 64, 1, 1), "fc": (10, 512)}


def erk_densities_as_published(shapes: dict[str, tuple[int, ...]], density: float) -> list[float]:
    """The reference's loop: layers that would be more than whole become whole, then again."""
    whole: set[str] = set()
    while True:
        divisor = rhs = 0.0
        raw = {}
        for name, shape in shapes.items():
            size = math.prod(shape)
            if name in whole:
                rhs -= size * (1 - density)
            else:
                rhs += size * density
                raw[name] = sum(shape) / size
                divisor += raw[name] * size
        epsilon = rhs / divisor if divisor else 0.0
        above = {name for name in raw if raw[name] * epsilon > 1}
        if not above:
            return [1.0 if name in whole else epsilon * raw[name] for name in shapes]
        whole.add(max(above, key=lambda name: raw[name]))


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.3, 0.5, 0.9, 0.99, 1.0])
def test_erk_is_its_formula_and_adds_up(ratio: float) -> None:
    counts = erdos_renyi_kernel_counts(SHAPES, ratio)
    sizes = {name: math.prod(shape) for name, shape in SHAPES.items()}
    assert sum(counts.values()) == round(ratio * sum(sizes.values()))
    for (name, size), density in zip(
        sizes.items(), erk_densities_as_published(SHAPES, 1 - ratio), strict=True
    ):
        assert size - counts[name] == pytest.approx(density * size, abs=1.5)


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple),
        max_size=6,
    ),
    st.floats(0, 1),
)
def test_erk_never_takes_more_than_there_is(
    shapes: dict[str, tuple[int, ...]], ratio: float
) -> None:
    counts = erdos_renyi_kernel_counts(shapes, ratio)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    assert counts.keys() == sizes.keys()
    assert all(0 <= counts[name] <= size for name, size in sizes.items())
    assert sum(counts.values()) == round(ratio * sum(sizes.values()))


# Ratios of a layer's own


def zeros(model: nn.Module) -> dict[str, int]:
    return {name: int((layer.weight == 0).sum()) for name, layer in prunable_layers(model).items()}


def weight_counts(model: nn.Module) -> dict[str, int]:
    return {name: layer.weight.numel() for name, layer in prunable_layers(model).items()}


@pytest.mark.parametrize("allocation", ["uniform", "global", "lamp", "erk"])
def test_a_layer_with_a_ratio_of_its_own_loses_that_and_the_others_the_rest(
    allocation: str,
) -> None:
    model = random_resnet()
    own = {"conv1": 0.0, "layer2.0.conv2": 0.75, "fc": 1.0}
    spec = PruningSpec("fine", 0.3, allocation=allocation, overrides=tuple(own.items()))
    gone, sizes = zeros(pruned_by(model, spec)), weight_counts(model)
    for name, ratio in own.items():
        assert gone[name] == round(ratio * sizes[name])
    rest = sizes.keys() - own
    if allocation == "uniform":
        assert all(gone[name] == round(0.3 * sizes[name]) for name in rest)
    assert sum(gone[name] for name in rest) == pytest.approx(
        round(0.3 * sum(sizes[name] for name in rest)), abs=10 if allocation == "uniform" else 0
    )


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_a_group_with_a_ratio_of_its_own_loses_that_and_the_others_the_rest(
    allocation: str,
) -> None:
    model = random_resnet()
    own = {"conv1": 0.5, "layer3.1.conv1": 0.0, "layer4.0.conv1": 1.0}
    spec = PruningSpec("channel", 0.25, allocation=allocation, overrides=tuple(own.items()))
    before, after = prunable_layers(model), prunable_layers(pruned_by(model, spec))

    def kept(name: str) -> int:
        return len(after[name].weight)

    assert kept("conv1") == kept("layer1.0.conv2") == len(before["conv1"].weight) // 2
    assert kept("layer3.1.conv1") == len(before["layer3.1.conv1"].weight)
    assert kept("layer4.0.conv1") == 1
    if allocation == "uniform":
        assert kept("layer2.0.conv1") == round(0.75 * len(before["layer2.0.conv1"].weight))


def test_a_convolution_with_a_ratio_of_its_own_loses_that_many_filters() -> None:
    model = random_resnet()
    spec = PruningSpec("channel-mask", 0.5, overrides=(("layer1.0.conv2", 0.25),))
    masked = prunable_layers(pruned_by(model, spec))
    for name, part in (("layer1.0.conv2", 0.25), ("layer1.0.conv1", 0.5)):
        filters = masked[name].weight.flatten(1)
        assert int((filters == 0).all(1).sum()) == part * len(filters)


@pytest.mark.parametrize("method", METHODS)
def test_overrides_of_0_everywhere_are_the_baseline(method: str) -> None:
    model = random_resnet()
    groups = ["conv1", "layer2.0.conv2", "layer3.0.conv2", "layer4.0.conv2"]
    groups += [f"layer{stage}.{block}.conv1" for stage in range(1, 5) for block in range(2)]
    names = {
        "fine": list(prunable_layers(model)),
        "channel": groups,
        "hybrid": groups,
        "channel-mask": [name for name in prunable_layers(model) if name != "fc"],
    }[method]
    spec = PruningSpec(method, 0.5, overrides=tuple((name, 0.0) for name in names))
    assert same_state(pruned_by(model, spec).state_dict(), model.state_dict())


@pytest.mark.parametrize(
    ("method", "scope", "name"),
    [
        ("fine", "all", "layer9"),
        ("channel", "all", "layer1.0.conv2"),  # its group is called by its first member
        ("channel", "internal", "conv1"),
        ("channel-mask", "all", "fc"),
    ],
)
def test_an_override_of_what_is_not_there_is_refused(method: str, scope: str, name: str) -> None:
    spec = PruningSpec(method, 0.5, scope=scope, overrides=((name, 0.5),))
    with pytest.raises(InputError, match="choose of") as caught:
        prune(wrap(random_resnet()), spec)
    assert repr(name) in str(caught.value)


def test_tensor_scores_keep_their_type() -> None:
    scores: Tensor = lamp_scores(torch.rand(5))
    assert scores.dtype == torch.float32


BOUNDED = [
    ("fine", "global"),
    ("fine", "lamp"),
    ("channel", "global"),
    ("channel", "isomorphic"),
]


@pytest.mark.parametrize(("method", "allocation"), BOUNDED)
@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_none_loses_less_than_the_floor_or_more_than_the_ceiling(
    method: str, allocation: str, ratio: float
) -> None:
    floor, ceiling = 0.5, 0.6
    network = wrap(random_resnet())
    spec = PruningSpec(
        method, ratio, allocation=allocation, scope="internal", floor=floor, ceiling=ceiling
    )
    pruned = prune(network, spec)
    if method == "fine":
        sizes = {layer.name: (layer.weights, layer.weights_left) for layer in pruned.layers}
    else:
        groups = {group.name: group.size for group in network.groups}
        sizes = {name: (groups[name], len(kept)) for name, kept in pruned.kept.items()}
    for size, left in sizes.values():
        assert round(floor * min(ratio, 1.0) * size) <= size - left or ratio > ceiling
        assert size - left <= round(ceiling * size)
    total = sum(size for size, _ in sizes.values())
    gone = total - sum(left for _, left in sizes.values())
    assert gone <= round(ratio * total)
    if ratio < ceiling and allocation != "isomorphic":
        assert gone == round(ratio * total)
    if ratio == 1.0 and method == "channel":
        assert any("of the channels in scope were removed" in note for note in pruned.notes)


@given(
    st.lists(st.lists(st.floats(0, 8, width=16), min_size=2, max_size=12), min_size=1, max_size=4),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_one_threshold_with_bounds_is_a_brute_force(
    values: list[list[float]], ratio: float, floor: float, ceiling: float
) -> None:
    """The floor first, then the lowest that may still go, one after the other."""
    scores = {str(number): torch.tensor(group) for number, group in enumerate(values)}
    spec = PruningSpec("channel", ratio, allocation="global", floor=floor, ceiling=ceiling)
    found = counts_below_one_threshold(scores, spec, is_comparable=True)
    most = {name: min(round(ceiling * len(each)), len(each) - 1) for name, each in scores.items()}
    gone = {
        name: min(round(floor * ratio * len(each)), most[name]) for name, each in scores.items()
    }
    number = min(round(ratio * sum(map(len, values))), sum(most.values()))
    ascending = sorted(
        (float(score), name, rank)
        for name, each in scores.items()
        for rank, score in enumerate(each.sort().values)
        if gone[name] <= rank < most[name]
    )
    surplus = sum(gone.values()) - number  # rounding the floors up can come to more than the ratio
    for _, name, _ in ascending[: max(0, -surplus)]:
        gone[name] += 1
    if surplus <= 0:
        assert found == gone
    else:
        assert all(found[name] <= gone[name] for name in gone)
    assert sum(found.values()) == number


def test_isomorphic_groups_compete_among_themselves() -> None:
    network = wrap(random_resnet())
    spec = PruningSpec("channel", 0.5, allocation="isomorphic")
    kept = prune(network, spec).kept
    twins = [("layer1.0.conv1", "layer1.1.conv1"), ("layer4.0.conv1",), ("layer4.1.conv1",)]
    sizes = {group.name: group.size for group in network.groups}
    for equals in twins:
        assert sum(len(kept[name]) for name in equals) == sum(sizes[name] for name in equals) / 2
    scores: dict[tuple[str, int], float] = {}
    for name in twins[0]:
        weight = network.layers[name].weight.detach()
        scores |= {(name, n): float(each) for n, each in enumerate(weight.abs().sum((1, 2, 3)))}
    stays = {(name, channel) for name in twins[0] for channel in kept[name].tolist()}
    assert min(scores[each] for each in stays) >= max(
        score for each, score in scores.items() if each not in stays
    )


@pytest.mark.parametrize("multiple", [4, 8, 16, 64])
@pytest.mark.parametrize("allocation", ["uniform", "global", "isomorphic"])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 0.93, 1.0])
def test_a_multiple_stays_of_each_group(multiple: int, allocation: str, ratio: float) -> None:
    network = wrap(random_resnet())
    spec = PruningSpec("channel", ratio, allocation=allocation, round_to=multiple)
    freely = prune(network, PruningSpec("channel", ratio, allocation=allocation)).kept
    pruned = prune(network, spec)
    for group in network.groups:
        left, wanted = len(pruned.kept[group.name]), len(freely[group.name])
        assert 0 < left <= group.size
        if left < group.size:
            assert left % multiple == 0
            assert abs(left - wanted) <= multiple / 2 or left == multiple
        else:
            assert wanted > group.size - multiple
    if ratio > 0:
        assert any("of the channels in scope were removed" in note for note in pruned.notes)
