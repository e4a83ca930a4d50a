"""What holds for every method: purity, identity, repeatability and the report."""

from dataclasses import replace

import pytest
import torch

from core.networks.layers import prunable_layers
from core.pruning import prune
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import METHODS
from tests.combinations import COMBINATIONS
from tests.small_networks import (
    copy_of_state,
    images,
    pruned_by,
    pruner_of,
    random_network,
    random_resnet,
    same_state,
)

ALL_SPECS = [
    PruningSpec(
        method, 0.5, criterion, allocation, scope, rest_ratio=0.3, rest_allocation="uniform"
    )
    for method, criterion, allocation, scope in COMBINATIONS
]
SPECS = sorted({spec.canonical() for spec in ALL_SPECS}, key=repr)

every_spec = pytest.mark.parametrize("spec", SPECS, ids=str)
every_method = pytest.mark.parametrize("method", METHODS)

PRUNER = pruner_of(random_network(image_size=8))
UNTOUCHED = copy_of_state(PRUNER.baseline.module)


@every_spec
def test_ratio_0_is_the_identity(spec: PruningSpec) -> None:
    pruned = PRUNER.prune(replace(spec, ratio=0.0, rest_ratio=0.0))
    assert same_state(pruned.network.module.state_dict(), UNTOUCHED)
    assert pruned.sparsity == 0


@every_spec
def test_the_baseline_is_untouched(spec: PruningSpec) -> None:
    pruned = PRUNER.prune(spec)
    assert not same_state(pruned.network.module.state_dict(), UNTOUCHED)
    assert same_state(PRUNER.baseline.module.state_dict(), UNTOUCHED)


@every_method
@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_what_happens_to_the_pruned_network_does_not_reach_the_baseline(
    method: str, ratio: float
) -> None:
    baseline = random_resnet()
    pruned = pruned_by(baseline, PruningSpec(method, ratio, scope="internal"))
    with torch.no_grad():
        for tensor in pruned.state_dict().values():
            tensor.fill_(7)
    assert same_state(baseline.state_dict(), UNTOUCHED)


@every_spec
def test_ratio_1_leaves_a_network_that_runs(spec: PruningSpec) -> None:
    pruned = PRUNER.prune(replace(spec, ratio=1.0))
    logits = pruned.network.module(images())
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()
    if spec.method == "fine":
        assert pruned.sparsity == 1
    elif spec.scope == "all":
        convolutions = [layer for layer in pruned.layers if layer.name != "fc"]
        assert all(layer.channels_left == 1 for layer in convolutions)


@every_spec
def test_the_same_spec_gives_the_same_network(spec: PruningSpec) -> None:
    first = PRUNER.prune(spec)
    second = pruner_of(random_network(image_size=8)).prune(
        spec
    )  # a pruner and a baseline of its own
    assert same_state(first.network.module.state_dict(), second.network.module.state_dict())
    assert first.layers == second.layers


@every_method
@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_random_is_decided_by_the_seed(method: str, allocation: str) -> None:
    def state(seed: int) -> dict[str, torch.Tensor]:
        spec = PruningSpec(method, 0.5, "random", allocation, seed=seed)
        return prune(PRUNER.baseline, spec).network.module.state_dict()

    assert same_state(state(1), state(1))
    assert not same_state(state(1), state(2))


@every_method
def test_the_global_random_generator_is_left_alone(method: str) -> None:
    before = torch.get_rng_state()
    prune(PRUNER.baseline, PruningSpec(method, 0.5, "random"))
    assert torch.equal(torch.get_rng_state(), before)


@every_method
@pytest.mark.parametrize("training", [True, False])
def test_mode_and_gradients_are_the_baselines(method: str, training: bool) -> None:
    baseline = random_resnet().train(training).requires_grad_(training)
    pruned = pruned_by(baseline, PruningSpec(method, 0.5))
    assert all(module.training is training for module in pruned.modules())
    assert all(parameter.requires_grad is training for parameter in pruned.parameters())


@every_spec
def test_the_report_equals_counts_by_brute_force(spec: PruningSpec) -> None:
    pruned = PRUNER.prune(spec)
    before, after = prunable_layers(PRUNER.baseline.module), prunable_layers(pruned.network.module)
    assert [layer.name for layer in pruned.layers] == list(before)
    all_weights = all_left = 0
    for layer in pruned.layers:
        filters = after[layer.name].weight.flatten(1).tolist()
        assert layer.weights == before[layer.name].weight.numel()
        assert layer.channels == before[layer.name].weight.shape[0]
        assert layer.weights_left == sum(number != 0 for row in filters for number in row)
        assert layer.channels_left == sum(any(row) for row in filters)
        assert layer.sparsity == pytest.approx(1 - layer.weights_left / layer.weights, abs=1e-12)
        all_weights += layer.weights
        all_left += layer.weights_left
    assert pruned.sparsity == pytest.approx(1 - all_left / all_weights, abs=1e-12)


@pytest.mark.parametrize("ratio", [0.125, 0.25, 0.5, 0.75])
def test_a_channel_pruned_inner_layer_loses_outputs_and_inputs(ratio: float) -> None:
    layers = PRUNER.prune(PruningSpec("channel", ratio)).layers
    for layer in layers[1:-1]:  # the first keeps its inputs, the last its outputs
        assert layer.sparsity == pytest.approx(1 - (1 - ratio) ** 2, abs=1e-12)
    assert layers[0].sparsity == layers[-1].sparsity == ratio


@pytest.mark.parametrize("allocation", METHODS["fine"].allocations)
def test_the_sparsity_of_fine_is_the_ratio(allocation: str) -> None:
    pruned = PRUNER.prune(PruningSpec("fine", 0.3, allocation=allocation))
    assert pruned.sparsity == pytest.approx(0.3, abs=1e-4)
    by_layer = [layer.sparsity for layer in pruned.layers]
    spread = max(by_layer) - min(by_layer)
    assert spread < 0.005 if allocation == "uniform" else spread > 0.1


@pytest.mark.parametrize(
    "spec", [PruningSpec("fine", 0.5, "l2"), PruningSpec("channel-mask", 0.5, scope="internal")]
)
def test_equivalent_specs_give_the_same_network(spec: PruningSpec) -> None:
    first, second = PRUNER.prune(spec), PRUNER.prune(spec.canonical())
    assert spec != spec.canonical()
    assert same_state(first.network.module.state_dict(), second.network.module.state_dict())
