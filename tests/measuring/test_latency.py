"""Latency: who is timed when, what is no difference, and the bytes that activations take."""

from collections.abc import Callable, Generator, Iterator
from itertools import cycle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from core.measuring.alternating import Round, Speedup, Timer, alternate
from core.measuring.latency import compare_latency, peak_activation_bytes


def finished(steps: Generator[Round, None, np.ndarray]) -> tuple[list[Round], Speedup]:
    rounds = []
    while True:
        try:
            rounds.append(next(steps))
        except StopIteration as end:
            return rounds, Speedup.of(end.value)


def timers(log: list[str], **seconds: Iterator[float]) -> list[Timer]:
    """Timers that write who was timed, and take the seconds that they are told to."""

    def timer(name: str) -> Callable[[], float]:
        def run() -> float:
            log.append(name)
            return next(seconds[name])

        return run

    return [timer(name) for name in seconds]


def test_both_are_timed_in_every_round_and_take_turns_in_going_first() -> None:
    log: list[str] = []
    rounds, _ = finished(alternate(timers(log, a=cycle([1.0]), b=cycle([1.0])), 4))
    assert log[:2] == ["a", "b"]  # untimed
    assert log[2:] == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert rounds == [Round(number, 4) for number in range(1, 5)]


def test_the_speedup_is_of_the_rounds_not_of_the_medians() -> None:
    # The machine is ten times as slow in the last rounds; in each, the candidate is twice as fast.
    slow = [1.0, 1.0, 1.0, 10.0, 10.0]
    a, b = iter([9.0, *(each / 2 for each in slow)]), iter([9.0, *slow])
    _, found = finished(alternate(timers([], a=a, b=b), 5))
    assert (found.low, found.median, found.high) == (2, 2, 2)
    assert (found.seconds, found.reference_seconds, found.rounds) == (0.5, 1, 5)
    assert found.differs
    assert found.time_saved == 0.5


@pytest.mark.parametrize(
    ("ratios", "differs"),
    [
        ([0.8, 0.9, 1.0, 1.1, 1.2], False),  # quartiles 0.9 and 1.1
        ([0.8, 1.01, 1.1, 1.2, 1.3], True),  # 1.01 and 1.2
        ([0.7, 0.8, 0.9, 0.99, 1.3], True),  # slower: 0.8 and 0.99
        ([1.0, 1.0, 1.0, 1.0, 1.0], False),
    ],
)
def test_a_spread_that_covers_1_is_no_difference(ratios: list[float], differs: bool) -> None:
    a, b = iter([1.0, *(1 / each for each in ratios)]), cycle([1.0])
    _, found = finished(alternate(timers([], a=a, b=b), len(ratios)))
    assert found.low == pytest.approx(sorted(ratios)[1])
    assert found.high == pytest.approx(sorted(ratios)[3])
    assert found.differs is differs


def test_a_comparison_can_be_dropped_at_any_round() -> None:
    log: list[str] = []
    steps = alternate(timers(log, a=cycle([1.0]), b=cycle([1.0])), 9)
    next(steps)
    steps.close()
    assert len(log) == 4


def test_networks_are_run_on_the_inputs_with_the_threads_that_are_asked_for() -> None:
    seen: list[tuple[tuple[int, ...], int, bool]] = []

    def runner(inputs: Tensor) -> None:
        shape, threads = tuple(inputs.shape), torch.get_num_threads()
        seen.append((shape, threads, torch.is_inference_mode_enabled()))

    before = torch.get_num_threads()
    _, found = finished(compare_latency([(runner, torch.zeros(3, 1, 2, 2))] * 2, 2, rounds=1))
    assert set(seen) == {((3, 1, 2, 2), 2, True)}
    assert found.seconds > 0
    assert torch.get_num_threads() == before


FLOAT = 4  # bytes


def test_a_chain_needs_the_input_and_the_two_largest_neighbours() -> None:
    chain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1))
    inputs = torch.zeros(2, 3, 8, 8)
    assert peak_activation_bytes(chain, inputs) == 2 * 64 * (3 + 8 + 16) * FLOAT


def test_what_is_done_in_place_needs_nothing_more() -> None:
    inputs = torch.zeros(2, 3, 8, 8)
    chain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten())
    assert peak_activation_bytes(chain, inputs) == 2 * 64 * (3 + 8) * FLOAT


class WithShortcut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        kept = F.relu(inputs)
        added: Tensor = kept + self.conv(F.relu(self.conv(kept)))
        return added


def test_a_shortcut_keeps_its_activations_alive() -> None:
    # The input, what the shortcut keeps, and an operation's input and output.
    inputs = torch.zeros(1, 4, 5, 5)
    assert peak_activation_bytes(WithShortcut(), inputs) == 4 * 4 * 25 * FLOAT


def test_memory_grows_with_the_batch_and_shrinks_with_the_precision() -> None:
    network = resnet18(num_classes=10).eval()
    image = torch.zeros(1, 3, 64, 64)
    one = peak_activation_bytes(network, image)
    assert peak_activation_bytes(network, image.expand(4, -1, -1, -1).contiguous()) == 4 * one
    half = peak_activation_bytes(network.to(torch.bfloat16), image.to(torch.bfloat16))
    assert half == one / 2
    # The image, and the first convolution's output before and after its batch-norm.
    assert one == (3 * 64 * 64 + 2 * 64 * 32 * 32) * FLOAT
