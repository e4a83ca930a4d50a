"""Tracing happens in another process, and leaves this one alone."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from core.errors import InputError
from core.export import tracing
from core.networks.batch_norm import fold_batch_norms
from core.networks.network import Network
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from tests.export.subjects import small_network


def test_networks_are_pruned_and_run_as_ever_while_one_is_exported() -> None:
    network = small_network()
    example = torch.zeros(network.signature.example)
    with torch.inference_mode():
        expected = network.module(example)
    troubles: list[str] = []
    done, runs = threading.Event(), [0, 0]

    def work(number: int) -> None:
        while not done.is_set():
            try:
                pruned = Pruner(network).prune(PruningSpec("channel", 0.5)).network
                Network.of(pruned.module, network.signature)  # follows labels through one run
                with torch.inference_mode():
                    if not torch.equal(network.module(example), expected):
                        troubles.append("other logits")
            except Exception as error:  # noqa: BLE001, in a thread it would be lost
                troubles.append(repr(error))
            runs[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    content = tracing.traced(network, normalise=False, properties={"note": "a"})
    done.set()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert min(runs) > 1
    assert content == tracing.exported(
        fold_batch_norms(network), network.signature.example, {"note": "a"}
    )
    assert onnx.load_from_string(content).graph.output[0].name == tracing.OUTPUT


class Refusing(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.sum() > 0:  # cannot be traced
            return images
        return -images


class Local(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function


def test_what_the_other_process_refuses_is_said_here() -> None:
    with pytest.raises(InputError, match=r"cannot be written as ONNX \(.+choose another format"):
        tracing.exported_elsewhere(Refusing(), (1, 3, 8, 8), {})


def test_what_cannot_be_handed_over_is_said() -> None:
    with pytest.raises(InputError, match="cannot be handed to another process"):
        tracing.exported_elsewhere(Local(lambda images: images), (1, 3, 8, 8), {})


def test_a_process_that_dies_leaves_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InputError, match=r"cannot be written as ONNX \(it was stopped\)\.$"):
        tracing.exported_elsewhere(nn.Identity(), (1, 3, 8, 8), {})
