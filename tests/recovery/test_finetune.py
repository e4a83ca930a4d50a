"""Fine-tuning: what is zero stays zero, it helps, repeats itself and goes on after a kill."""

from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from core.data.dataset import DataSet
from core.errors import InputError
from core.evidence import Evidence
from core.measuring.evaluation import evaluate_fully
from core.networks.batch_norm import Recovering, finished
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.pruning import Pruned, prune
from core.recovery import tuning
from core.recovery.recover import recover
from core.recovery.tuning import HELD_OUT, Tuning, recipe_for, split_for
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, RECALIBRATED, Recovery
from core.training.recipe import LARGEST_BATCH
from tests.small_networks import copy_of_state, same_state

CPU = torch.device("cpu")
SPECS = [
    PruningSpec("fine", 0.8),
    PruningSpec("channel", 0.5),
    PruningSpec("channel-mask", 0.3),
    PruningSpec("hybrid", 0.3, rest_ratio=0.5),
]


@pytest.fixture
def evidence(trained: Checkpoint, digits: DataSet) -> Evidence:
    return Evidence(trained.network, trained.fingerprint, digits.training, "fp32", CPU)


def tuned(pruned: Pruned, evidence: Evidence, images: int = 1000, **settings: str) -> Network:
    recovery = Recovery("finetune", images, **settings)  # type: ignore[arg-type]
    return finished(recover(pruned, recovery, evidence))


def right(network: Network, digits: DataSet) -> int:
    return evaluate_fully(network, digits.test_images, digits.test_labels, "fp32", CPU).correct


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.method)
def test_zeros_and_shapes_stay_and_accuracy_comes_back(
    spec: PruningSpec, trained: Checkpoint, digits: DataSet, evidence: Evidence
) -> None:
    pruned = prune(trained.network, spec)
    before, teacher = copy_of_state(pruned.network.module), copy_of_state(trained.network.module)
    network = tuned(pruned, evidence, start="bn")
    assert same_state(pruned.network.module.state_dict(), before)
    assert same_state(trained.network.module.state_dict(), teacher)
    for name, layer in pruned.network.layers.items():
        after = network.layers[name].weight
        assert after.shape == layer.weight.shape
        assert not after[layer.weight == 0].any()
        assert not torch.equal(after, layer.weight)
    recalibrated = finished(recover(pruned, RECALIBRATED, evidence))
    assert right(network, digits) > right(recalibrated, digits)
    assert not network.module.training


def test_the_same_tuning_gives_the_same_network(trained: Checkpoint, evidence: Evidence) -> None:
    pruned = prune(trained.network, PruningSpec("channel", 0.5))
    first, second = tuned(pruned, evidence), tuned(pruned, evidence)
    assert same_state(first.module.state_dict(), second.module.state_dict())
    for other in (tuned(pruned, evidence, start="bn"), tuned(pruned, evidence, targets="labels")):
        assert not same_state(first.module.state_dict(), other.module.state_dict())


@pytest.mark.parametrize("images", [100, 1000, 3000])
def test_so_many_images_are_trained_on_and_none_that_is_held_out(
    images: int, trained: Checkpoint, digits: DataSet, evidence: Evidence
) -> None:
    recovery = Recovery("finetune", images)
    split = split_for(digits.training, recovery)
    everything = len(digits.train_labels)
    assert len(split.validation_labels) == min(HELD_OUT, everything // 10)
    assert len(split.labels) == min(images, everything - everything // 10)
    trained_on = {image.numpy().tobytes() for image in split.images}
    copies = {image.numpy().tobytes() for image in digits.train_images}
    assert trained_on <= copies
    assert not trained_on & {image.numpy().tobytes() for image in split.validation_images}
    pruned = prune(trained.network, PruningSpec("channel", 0.5))
    events = [each for each in recover(pruned, recovery, evidence) if isinstance(each, Tuning)]
    assert events[-1].done == events[-1].total
    batch = recipe_for(images, len(split.labels), can_be_mirrored=False).batch_size
    assert images - (1 + images // len(split.labels)) * batch <= events[-1].total
    assert events[-1].total <= images + len(split.labels) / 2
    first, *looks = [each for each in events if each.seen]
    assert first.done == 0
    assert len(looks) >= max(1, round(images / len(split.labels)))
    assert len({each.done for each in looks}) == len(looks)
    assert looks[-1].done == events[-1].total
    assert all(0 <= each.correct <= each.seen == len(split.validation_labels) for each in looks)


def test_a_tuning_that_was_dropped_goes_on(
    trained: Checkpoint, evidence: Evidence, tmp_path: Path
) -> None:
    pruned = prune(trained.network, PruningSpec("fine", 0.7))
    recovery = Recovery("finetune", 3000, start="bn")
    expected = finished(recover(pruned, recovery, evidence))
    path = tmp_path / "tuning.resume"
    for _event in recover(pruned, recovery, evidence, path):
        if path.exists():  # after the first pass
            break
    found: list[Network] = []

    def collected() -> Generator[Recovering, None, None]:
        found.append((yield from recover(pruned, recovery, evidence, path)))

    rest = [each for each in collected() if isinstance(each, Tuning)]
    assert rest[0].done > 1000
    (network,) = found
    assert same_state(network.module.state_dict(), expected.module.state_dict())


def test_few_images_are_trained_on_in_small_batches() -> None:
    assert recipe_for(500, 500, True).batch_size == tuning.SMALLEST_BATCH
    assert recipe_for(50_000, 49_000, True).batch_size == LARGEST_BATCH
    assert recipe_for(50_000, 49_000, True).learning_rate == tuning.LEARNING_RATE
    assert recipe_for(2000, 2000, True).learning_rate == tuning.LEARNING_RATE / 4
    assert recipe_for(150_000, 49_000, True).epochs == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"images": 9}, "10 to"),
        ({"images": 10, "start": "none"}, "start"),
        ({"images": 10, "targets": "hopes"}, "targets"),
    ],
)
def test_what_cannot_be_tuned_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Recovery("finetune", **settings)  # type: ignore[arg-type]


def test_other_recoveries_do_not_train() -> None:
    assert Recovery("bn", 2000, start="bn", targets="labels") == RECALIBRATED
    assert not RECALIBRATED.trains
    assert not NOTHING.trains
    assert Recovery("finetune", 10).to_json() == {
        "method": "finetune",
        "images": 10,
        "seed": 0,
        "start": "reconstruct",
        "targets": "baseline",
    }
