"""Channel pruning against masking done right, Torch-Pruning and brute force."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch_pruning
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from core.errors import InputError
from core.networks.flow import follow
from core.networks.groups import Structure
from core.pruning import prune
from core.pruning.channel import ChannelPruner, group_scores
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS, SCOPES
from tests.examples import expensive
from tests.small_networks import (
    EXAMPLE,
    Widths,
    facts_of,
    followed,
    images,
    pruned_by,
    pruner_of,
    random_bottleneck_resnet,
    random_resnet,
    random_vgg,
    same_state,
    silence,
    widths_of,
    with_structure,
    wrap,
)

VGG = follow(random_vgg(), EXAMPLE)  # the same for every seed
BOTTLENECK = follow(random_bottleneck_resnet(), EXAMPLE)
UNEVEN = Widths(streams=(5, 12, 7, 16), inner=(3, 9, 1, 30, 8, 11, 4, 20))

ratios = st.floats(0, 1)
criteria = st.sampled_from(METHODS["channel"].criteria)
allocations = st.sampled_from(METHODS["channel"].allocations)
scopes = st.sampled_from(list(SCOPES))
seeds = st.integers(0, 3)
a_width = st.integers(1, 12)
any_widths = st.builds(Widths, st.tuples(*[a_width] * 4), st.tuples(*[a_width] * 8))


def kept_channels(
    model: nn.Module, spec: PruningSpec, structure: Structure | None = None
) -> dict[str, Tensor]:
    network = with_structure(model, structure or follow(model, EXAMPLE))
    return ChannelPruner(facts_of(network, spec.seed), spec.criterion).kept(spec)


def logits(model: nn.Module) -> Tensor:
    with torch.inference_mode():
        result: Tensor = model(images())
    return result


def largest_difference(first: Tensor, second: Tensor) -> float:
    """Relative to the largest of the second."""
    return ((first - second).abs().max() / second.abs().max()).item()


def check_that_removal_equals_masking(
    model: nn.Module, spec: PruningSpec, structure: Structure
) -> None:
    """Logits agree to 1e-4, in fp32."""
    masked = copy.deepcopy(model)
    silence(masked, structure, kept_channels(model, spec, structure))
    narrower = pruner_of(with_structure(model, structure)).prune(spec).network.module
    assert largest_difference(logits(narrower), logits(masked)) <= 1e-4


@given(any_widths, ratios, criteria, allocations, scopes, seeds)
@expensive(60)
def test_removal_equals_masking_in_resnet18(
    widths: Widths, ratio: float, criterion: str, allocation: str, scope: str, seed: int
) -> None:
    spec = PruningSpec("channel", ratio, criterion, allocation, scope, seed)
    model = random_resnet(widths, seed)
    check_that_removal_equals_masking(model, spec, follow(model, EXAMPLE))


@given(ratios, st.sampled_from(["l1", "l2", "random"]), allocations, seeds)
@expensive(25)
def test_removal_equals_masking_in_a_vgg(
    ratio: float, criterion: str, allocation: str, seed: int
) -> None:
    spec = PruningSpec("channel", ratio, criterion, allocation, seed=seed)
    check_that_removal_equals_masking(random_vgg(seed), spec, VGG)


@given(ratios, criteria, allocations, scopes, seeds)
@expensive(25)
def test_removal_equals_masking_in_a_depthwise_bottleneck_resnet(
    ratio: float, criterion: str, allocation: str, scope: str, seed: int
) -> None:
    spec = PruningSpec("channel", ratio, criterion, allocation, scope, seed)
    check_that_removal_equals_masking(random_bottleneck_resnet(seed), spec, BOTTLENECK)


def test_removal_does_not_equal_masking_that_leaves_the_shift() -> None:
    """Shows that the tests above can fail: their tolerance is 100 times smaller."""
    model, spec = random_resnet(), PruningSpec("channel", 0.5)
    masked = copy.deepcopy(model)
    shifts = {name: tensor.clone() for name, tensor in masked.named_parameters() if "bn" in name}
    silence(masked, follow(model, EXAMPLE), kept_channels(model, spec))
    for name, tensor in masked.named_parameters():
        if name in shifts and name.endswith("bias"):
            tensor.data.copy_(shifts[name])
    assert (
        largest_difference(
            logits(pruned_by(model, spec)),
            logits(masked),
        )
        > 1e-2
    )


@pytest.mark.parametrize("ratio", [0.25, 0.5])
@pytest.mark.parametrize("criterion", ["l1", "l2", "bn", "random"])
def test_network_and_costs_equal_torch_pruning(ratio: float, criterion: str) -> None:
    """Torch-Pruning finds its own groups and removes by itself; only the scores are ours."""
    model = random_resnet()
    theirs = copy.deepcopy(model)
    structure = follow(model, EXAMPLE)
    scores = group_scores(facts_of(followed(model)), criterion)[0]
    group_of = {name: group.name for group in structure.groups for name in group.producers}
    name_of = {module: name for name, module in theirs.named_modules()}

    def importance(group: list[tuple[object, list[int]]]) -> Tensor:
        root = group[0][0].target.module  # type: ignore[attr-defined]
        return scores[group_of[name_of[root]]].clone()

    example = torch.randn(1, 3, 32, 32)
    torch_pruning.pruner.BasePruner(
        theirs,
        example,
        importance,
        global_pruning=False,
        pruning_ratio=ratio,
        ignored_layers=[theirs.fc],
    ).step()
    pruned = prune(wrap(model, 32), PruningSpec("channel", ratio, criterion)).network
    ours = pruned.module
    assert widths_of(ours) == Widths.regular(round(8 * (1 - ratio)))
    assert same_state(ours.state_dict(), theirs.state_dict())  # so the kept channels are equal

    _, parameters, layer_macs, _ = torch_pruning.utils.count_ops_and_params(
        theirs, example, layer_wise=True
    )
    assert sum(parameter.numel() for parameter in ours.parameters()) == parameters
    theirs_by_name = {name: layer_macs[module] for name, module in theirs.named_modules()}
    theirs_by_name["fc"] -= theirs.fc.out_features  # it counts the additions of the bias
    assert pruned.macs == {name: theirs_by_name[name] for name in pruned.macs}


UNEVEN_PRUNER = pruner_of(wrap(random_resnet(UNEVEN)))


def widths_left(spec: PruningSpec) -> Widths:
    model = UNEVEN_PRUNER.prune(spec).network.module
    return widths_of(model)


@given(ratios, criteria, scopes, seeds)
@expensive(30)
def test_uniform_removes_exactly_the_rounded_number_of_each_group(
    ratio: float, criterion: str, scope: str, seed: int
) -> None:
    widths = widths_left(PruningSpec("channel", ratio, criterion, "uniform", scope, seed))

    def left(width: int) -> int:
        return width - min(round(ratio * width), width - 1)

    streams = UNEVEN.streams if scope == "internal" else tuple(map(left, UNEVEN.streams))
    assert widths == Widths(streams, tuple(map(left, UNEVEN.inner)))


@given(ratios, criteria, scopes, seeds)
@expensive(30)
def test_global_removes_exactly_the_rounded_number_in_total_and_leaves_one_of_each(
    ratio: float, criterion: str, scope: str, seed: int
) -> None:
    widths = widths_left(PruningSpec("channel", ratio, criterion, "global", scope, seed))
    before, after = list(UNEVEN.inner), list(widths.inner)
    assert min(after) >= 1
    if scope == "all":
        assert min(widths.streams) >= 1
        before += UNEVEN.streams
        after += widths.streams
    else:
        assert widths.streams == UNEVEN.streams
    total = sum(before)
    assert total - sum(after) == min(round(ratio * total), total - len(before))


def kept_by_brute_force(scores: dict[str, Tensor], ratio: float) -> dict[str, list[int]]:
    """Sort all normalised scores; never take the best of a group."""
    ranked, protected = [], set()
    for name, group in scores.items():
        values = group.tolist()
        mean = sum(values) / len(values)
        ranked += [(value / mean, name, channel) for channel, value in enumerate(values)]
        protected.add((name, values.index(max(values))))
    number = round(ratio * len(ranked))
    free = [
        (name, channel) for _, name, channel in sorted(ranked) if (name, channel) not in protected
    ]
    removed = set(free[:number])
    return {
        name: [channel for channel in range(len(group)) if (name, channel) not in removed]
        for name, group in scores.items()
    }


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.5, 0.7, 0.85, 1.0])
@pytest.mark.parametrize("criterion", ["l1", "l2", "bn", "random"])
def test_global_keeps_what_brute_force_keeps(ratio: float, criterion: str) -> None:
    model = random_resnet(UNEVEN)
    expected = kept_by_brute_force(group_scores(facts_of(followed(model)), criterion)[0], ratio)
    kept = kept_channels(model, PruningSpec("channel", ratio, criterion, "global"))
    assert {name: indices.tolist() for name, indices in kept.items()} == expected


def test_global_replaces_a_protected_channel_by_the_next_lowest_elsewhere() -> None:
    """Five of nine go; by scores alone they would be the whole first group and one channel."""
    first, second = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 5, 1, bias=False)
    model = nn.Sequential(
        first,
        second,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 2),
    )
    with torch.no_grad():
        first.weight.fill_(1)  # relative to their mean: 1, 1, 1, 1
        totals = torch.tensor([4.0, 21, 23, 25, 27])  # 0.2, 1.05, 1.15, 1.25, 1.35
        second.weight.copy_((totals / 4).view(5, 1, 1, 1).expand(5, 4, 1, 1))
    kept = kept_channels(model, PruningSpec("channel", 5 / 9, "l1", "global"))
    assert {name: indices.tolist() for name, indices in kept.items()} == {"0": [3], "1": [2, 3, 4]}


def test_group_scores_are_the_mean_over_the_producers() -> None:
    model = random_resnet()
    structure = follow(model, EXAMPLE)
    modules = dict(model.named_modules())
    for criterion in ("l1", "l2", "bn"):
        scores, _ = group_scores(facts_of(followed(model)), criterion)
        for group in structure.groups:
            for channel in range(group.size):
                of_members = []
                for name in group.producers:
                    numbers = modules[name].get_parameter("weight")[channel].flatten().tolist()
                    scale = modules[structure.batch_norm_of[name]].get_parameter("weight")[channel]
                    of_members.append(
                        {
                            "l1": sum(abs(number) for number in numbers),
                            "l2": sum(number**2 for number in numbers) ** 0.5,
                            "bn": abs(scale.item()),
                        }[criterion]
                    )
                expected = sum(of_members) / len(of_members)
                assert scores[group.name][channel].item() == pytest.approx(expected, rel=1e-5)


def test_internal_keeps_the_widths_of_the_residual_streams() -> None:
    model = prune(
        wrap(random_resnet()), PruningSpec("channel", 0.5, scope="internal")
    ).network.module
    assert widths_of(model) == Widths((8, 16, 32, 64), (4, 4, 8, 8, 16, 16, 32, 32))
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("network", [random_bottleneck_resnet, random_vgg])
def test_the_layers_say_their_new_sizes(network: Callable[[], nn.Module]) -> None:
    baseline = network()
    model = prune(followed(baseline), PruningSpec("channel", 0.5)).network.module
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            expected = (module.out_channels, module.in_channels // module.groups)
            assert module.weight.shape[:2] == expected
        elif isinstance(module, nn.Linear):
            assert module.weight.shape == (module.out_features, module.in_features)
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.shape == module.running_var.shape == (module.num_features,)  # type: ignore[union-attr]


def test_bn_leaves_a_group_without_batch_norm_alone_and_says_so() -> None:
    model = random_vgg()
    pruned = prune(followed(model), PruningSpec("channel", 0.5, "bn"))
    left = {layer.name: layer.channels_left for layer in pruned.layers}
    assert left == {"0": 3, "4": 3, "9": 9, "11": 10}
    assert any("group 9" in note and "batch-norm" in note for note in pruned.notes)


def test_bn_is_refused_where_no_group_has_a_batch_norm() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(InputError, match="batch-norm"):
        prune(followed(model), PruningSpec("channel", 0.5, "bn"))
