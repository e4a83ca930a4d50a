"""A latency beside its baseline, in each runtime, and in words."""

import pytest
import torch

from core.errors import InputError
from core.export.runtimes import RUNTIMES, load
from core.measuring.alternating import Speedup
from core.networks.batch_norm import finished
from core.pruning import Pruner
from core.results import LatencyKey
from core.specs.pruning import PruningSpec
from core.studies.latency import (
    conditions_here,
    example_inputs,
    measure_latency,
    precision_for,
    speedup_in_words,
)
from tests.small_networks import random_network

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", sorted(set(RUNTIMES) - {"compile"}))  # which takes a minute
def test_each_runtime_is_timed_beside_the_unpruned_network(name: str) -> None:
    runtime, baseline = RUNTIMES[name], random_network()
    spec = PruningSpec("channel", 0.5)
    pruned = Pruner(baseline).prune(spec).network
    conditions = conditions_here(runtime, "fp32", 2, 1, CPU)
    assert conditions.versions.startswith(runtime.package)
    key = LatencyKey.of("abc", "resnet18", spec, conditions)
    found = finished(measure_latency(key, pruned, baseline, runtime, CPU, rounds=1))
    assert found.key == key
    assert found.speedup.rounds == 3
    assert found.ran_on.startswith(("cpu", "CPU"))
    assert found.peak_bytes < found.reference_peak_bytes
    assert 0 < found.work < 1


def test_inputs_are_the_same_every_time_and_of_the_networks_shape() -> None:
    network = random_network()
    inputs = example_inputs(network, 5)
    assert inputs.shape == (5, *network.signature.example[1:])
    assert torch.equal(inputs, example_inputs(network, 5))


def test_a_runtime_without_bf16_is_measured_in_fp32_unless_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.studies.latency.resolve_precision", lambda *_: "bf16")
    assert precision_for(RUNTIMES["pytorch"], "auto", CPU) == "bf16"
    assert precision_for(RUNTIMES["onnxruntime"], "auto", CPU) == "fp32"
    with pytest.raises(InputError, match=r"ONNX Runtime runs networks in fp32"):
        precision_for(RUNTIMES["onnxruntime"], "bf16", CPU)


@pytest.mark.parametrize(
    ("quartiles", "words"),
    [
        ((0.97, 1.0, 1.02), "no difference (0.97 to 1.02 times as fast)"),
        ((1.0, 1.01, 1.02), "no difference (1.00 to 1.02 times as fast)"),
        ((2.1, 2.25, 2.3), "2.25 times as fast (2.10 to 2.30)"),
        ((0.4, 0.5, 0.6), "0.50 times as fast (0.40 to 0.60)"),
    ],
)
def test_words_claim_no_more_than_the_spread(
    quartiles: tuple[float, float, float], words: str
) -> None:
    assert speedup_in_words(Speedup(*quartiles, 1.0, 1.0, 21)) == words


def test_both_networks_are_loaded_anew_for_every_third_of_the_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[object] = []

    def counted(how: object, network: object, *rest: object) -> object:
        loaded.append(network)
        return load(how, network, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("core.studies.latency.load", counted)
    runtime, baseline = RUNTIMES["pytorch"], random_network()
    spec = PruningSpec("channel", 0.5)
    pruned = Pruner(baseline).prune(spec).network
    key = LatencyKey.of("abc", "resnet18", spec, conditions_here(runtime, "fp32", 1, 1, CPU))
    steps = measure_latency(key, pruned, baseline, runtime, CPU, rounds=2)
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            found = end.value
            break
    assert loaded == [pruned, baseline] * 3
    assert [(each.done, each.total) for each in events] == [(done, 6) for done in range(1, 7)]
    assert found.speedup.rounds == 6
