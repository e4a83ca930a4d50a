"""Gradual pruning: it ends where pruning at once does, little by little; it can be resumed."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from core.data.dataset import DataSet, TrainingImages
from core.errors import InputError
from core.evidence import Evidence
from core.measuring.evaluation import evaluate_fully
from core.networks.batch_norm import finished
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.pruning import Pruned, prune
from core.recovery import gradual as module
from core.recovery.gradual import cubic, file_between
from core.recovery.recover import recover
from core.recovery.tuning import Tuning
from core.specs.pruning import PruningSpec
from core.specs.recovery import RECALIBRATED, Recovery
from tests.networks.kinds import KINDS
from tests.small_networks import copy_of_state, same_state, wrap

CPU = torch.device("cpu")
GRADUAL = Recovery("finetune", 1000, prunings=4)
SPECS = {
    "fine": PruningSpec("fine", 0.8),
    "fine, global": PruningSpec("fine", 0.8, allocation="global"),
    "fine, random": PruningSpec("fine", 0.6, "random", seed=3),
    "channel": PruningSpec("channel", 0.5),
    "channel, internal": PruningSpec("channel", 0.6, "fpgm", scope="internal"),
    "channel, global": PruningSpec("channel", 0.4, "l2", allocation="global", round_to=4),
    "own ratios": PruningSpec("fine", 0.5, overrides=(("conv1", 0.0), ("fc", 0.9))),
}


@pytest.fixture
def evidence(trained: Checkpoint, digits: DataSet) -> Evidence:
    return Evidence(trained.network, trained.fingerprint, digits.training, "fp32", CPU)


def right(network: Network, digits: DataSet) -> int:
    return evaluate_fully(network, digits.test_images, digits.test_labels, "fp32", CPU).correct


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Pruned]:
    """Every pruning that gradual pruning does: first it tries all of them."""
    found: list[Pruned] = []

    def keep(network: Network, spec: PruningSpec) -> Pruned:
        found.append(prune(network, spec))
        return found[-1]

    monkeypatch.setattr(module, "prune", keep)
    return found


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_it_loses_a_cubic_part_at_each_step_and_in_the_end_what_goes_at_once(
    spec: PruningSpec,
    trained: Checkpoint,
    evidence: Evidence,
    seen: list[Pruned],
) -> None:
    pruned, before = prune(trained.network, spec), copy_of_state(trained.network.module)
    network = finished(recover(pruned, GRADUAL, evidence))
    assert same_state(trained.network.module.state_dict(), before)
    tried, seen = seen[: GRADUAL.prunings], seen[GRADUAL.prunings :]
    assert len(tried) == len(seen) == GRADUAL.prunings
    whole = trained.network.nonzero
    for name, layer in pruned.network.layers.items():
        shapes = [each.network.layers[name].weight.shape for each in seen]
        assert shapes[-1] == layer.weight.shape == network.layers[name].weight.shape
        left = [int((each.network.layers[name].weight != 0).sum()) for each in seen]
        assert int((network.layers[name].weight != 0).sum()) == left[-1]
        assert left[-1] == int((layer.weight != 0).sum())
        assert left == sorted(left, reverse=True)
        if spec.method == "fine":
            lost = whole[f"{name}.weight"] - left[-1]
            assert [whole[f"{name}.weight"] - each for each in left] == [
                round(part * lost) for part in (37 / 64, 7 / 8, 63 / 64, 1)
            ]
    assert not network.module.training
    assert network.macs == pruned.network.macs


@pytest.mark.parametrize("name", ["fine", "channel"])
def test_accuracy_comes_back(
    name: str, trained: Checkpoint, digits: DataSet, evidence: Evidence
) -> None:
    pruned = prune(trained.network, SPECS[name])
    recalibrated = finished(recover(pruned, RECALIBRATED, evidence))
    network = finished(recover(pruned, GRADUAL, evidence))
    assert right(network, digits) > right(recalibrated, digits)


def test_what_was_zeroed_stays_zero(
    trained: Checkpoint, evidence: Evidence, seen: list[Pruned]
) -> None:
    network = finished(recover(prune(trained.network, SPECS["fine"]), GRADUAL, evidence))
    steps = [each.network for each in seen[GRADUAL.prunings :]] + [network]
    for earlier, later in pairwise(steps):
        for name, layer in earlier.layers.items():
            assert not later.layers[name].weight[layer.weight == 0].any()


def test_it_chooses_by_the_weights_as_trained(trained: Checkpoint, evidence: Evidence) -> None:
    pruned = prune(trained.network, SPECS["fine"])
    network = finished(recover(pruned, GRADUAL, evidence))
    assert any(
        not torch.equal(network.layers[name].weight == 0, layer.weight == 0)
        for name, layer in pruned.network.layers.items()
    )


@pytest.mark.parametrize("name", ["fine", "channel"])
@pytest.mark.parametrize("passes", [1, 3])
def test_it_goes_on_where_it_was_dropped(
    name: str, passes: int, trained: Checkpoint, evidence: Evidence, tmp_path: Path
) -> None:
    pruned = prune(trained.network, SPECS[name])
    whole = list(tunings(pruned, evidence, None))
    expected = finished(recover(pruned, GRADUAL, evidence))
    path = tmp_path / "tuning.resume"
    for event in recover(pruned, GRADUAL, evidence, path):
        if isinstance(event, Tuning) and event.seen and event.done:
            passes -= 1
            if not passes:
                break
    assert file_between(path).exists() == (event.done > whole[-1].total / 5)
    rest = list(tunings(pruned, evidence, path))
    assert event.done <= rest[0].done
    assert rest[-1].done == whole[-1].done == whole[-1].total
    network = finished(recover(pruned, GRADUAL, evidence, path))
    assert same_state(network.module.state_dict(), expected.module.state_dict())


def tunings(pruned: Pruned, evidence: Evidence, path: Path | None) -> list[Tuning]:
    events = recover(pruned, GRADUAL, evidence, path)
    return [each for each in events if isinstance(each, Tuning)]


@pytest.mark.parametrize("damage", [bytes, lambda content: content[: len(content) // 2]])
def test_a_damaged_file_means_from_the_start(
    damage: Callable[[bytes], bytes], trained: Checkpoint, evidence: Evidence, tmp_path: Path
) -> None:
    pruned = prune(trained.network, SPECS["fine"])
    expected = finished(recover(pruned, GRADUAL, evidence))
    path = tmp_path / "tuning.resume"
    for each in recover(pruned, GRADUAL, evidence, path):
        if isinstance(each, Tuning) and file_between(path).exists():
            break
    content = file_between(path).read_bytes()
    file_between(path).write_bytes(damage(content) if damage is not bytes else b"")
    network = finished(recover(pruned, GRADUAL, evidence, path))
    assert same_state(network.module.state_dict(), expected.module.state_dict())


def test_what_cannot_be_gradual_is_refused(trained: Checkpoint, evidence: Evidence) -> None:
    for spec, said in (
        (PruningSpec("channel-mask", 0.5), "at once"),
        (PruningSpec("hybrid", 0.5, rest_ratio=0.5), "at once"),
    ):
        with pytest.raises(InputError, match=said):
            finished(recover(prune(trained.network, spec), GRADUAL, evidence))
    needing = replace(prune(trained.network, SPECS["fine"]), spec=PruningSpec("fine", 0.5, "wanda"))
    with pytest.raises(InputError, match="looks at weights"):
        finished(recover(needing, GRADUAL, evidence))
    few = replace(GRADUAL, images=90)
    with pytest.raises(InputError, match="too few"):
        finished(recover(prune(trained.network, SPECS["fine"]), few, evidence))


def test_the_cubic_schedule() -> None:
    """Zhu and Gupta, 2017, equation (1), from 0 to 1."""
    assert [cubic(step, 4) for step in range(5)] == [0, 37 / 64, 7 / 8, 63 / 64, 1]


def test_the_recovery_says_so() -> None:
    assert GRADUAL.is_gradual
    assert GRADUAL.start == "bn"
    assert GRADUAL.to_json()["prunings"] == 4
    assert "prunings" not in Recovery("finetune", 10).to_json()
    assert Recovery("bn", 2000, prunings=4) == RECALIBRATED
    for wrong in (0, 101, 1.5):
        with pytest.raises(InputError, match="prunings"):
            Recovery("finetune", 10, prunings=wrong)  # type: ignore[arg-type]


def few_images(number: int = 300) -> TrainingImages:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (number, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return TrainingImages(drawn, torch.arange(number) % 5, "random")


@pytest.mark.parametrize("spec", [PruningSpec("channel", 0.5), PruningSpec("fine", 0.8)])
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_network_ends_as_at_once_or_says_that_it_cannot(
    name: str, spec: PruningSpec
) -> None:
    network = wrap(KINDS[name][0]().eval())
    pruned = prune(network, spec)
    plan = module._Plan(network, spec, module._lost(pruned, network), 4)
    try:
        plan.check()
    except InputError as error:
        assert "gradually" in str(error)  # noqa: PT017 most kinds can
        assert not network.structure.is_sure
        return
    step = network
    for number in range(4):
        step = plan.pruned_further(step, number)
    for layer, expected in pruned.network.layers.items():
        found = step.layers[layer].weight
        assert found.shape == expected.weight.shape
        assert int((found != 0).sum()) == int((expected.weight != 0).sum())


@pytest.mark.parametrize("method", ["fine", "channel"])
@pytest.mark.parametrize(
    "name", ["a shared parameter", "grouped convolution", "depthwise convolution"]
)
@pytest.mark.parametrize("prunings", [1, 3])
def test_odd_networks_are_trained_and_saved(
    name: str, method: str, prunings: int, tmp_path: Path
) -> None:
    network = wrap(KINDS[name][0]().eval())
    pruned = prune(network, PruningSpec(method, 0.5))
    evidence = Evidence(network, "baseline", few_images(), "fp32", CPU)
    recovery = Recovery("finetune", 200, start="bn", prunings=prunings)
    expected = finished(recover(pruned, recovery, evidence))
    path = tmp_path / "tuning.resume"
    found = finished(recover(pruned, recovery, evidence, path))
    assert path.exists()
    assert same_state(found.module.state_dict(), expected.module.state_dict())


def test_too_few_training_images_are_refused_by_their_number(trained: Checkpoint) -> None:
    evidence = Evidence(trained.network, "baseline", few_images(40), "fp32", CPU)
    pruned = prune(trained.network, SPECS["fine"])
    with pytest.raises(InputError, match="40 training images"):
        finished(recover(pruned, Recovery("finetune", 30, start="bn"), evidence))
