"""Measured latency, and the memory that activations need."""

import weakref
from collections.abc import Callable, Generator, Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.measuring.alternating import Round, alternate

SECONDS_PER_TIMING = 0.05
"""A faster network runs several times, since a clock is coarse and other programs disturb."""
ROUNDS = 7

Runner = Callable[[Tensor], object]
"""Runs a batch of normalised inputs (N, colours, H, W) through a network."""


def compare_latency(
    sides: Sequence[tuple[Runner, Tensor]],
    threads: int,
    rounds: int = ROUNDS,
    least: float = SECONDS_PER_TIMING,
) -> Generator[Round, None, np.ndarray]:
    """Time a candidate and its reference, each on its batch, with PyTorch's benchmark timer.

    The timer sets the number of threads of PyTorch's own runners, and waits for accelerators. Each
    timing takes `least` seconds or more. Yields after each round; can be dropped at any event.
    Returns the seconds, (rounds, 2).
    """
    timers = [_timed(runner, inputs, threads, least) for runner, inputs in sides]
    return (yield from alternate(timers, rounds))


def _timed(runner: Runner, inputs: Tensor, threads: int, least: float) -> Callable[[], float]:
    from torch.utils.benchmark import Timer  # looks for CUDA's compiler, and says so on stderr

    timer = Timer(
        "runner(inputs)", globals={"runner": runner, "inputs": inputs}, num_threads=threads
    )

    def seconds(number: int) -> float:
        with torch.inference_mode():
            return float(timer.timeit(number).mean)

    seconds(1)  # what is compiled or allocated at the first run is not timed
    number = max(1, ceil(least / max(seconds(2), 1e-9)))
    return lambda: seconds(number)


def peak_activation_bytes(module: nn.Module, inputs: Tensor) -> int:
    """Return the most bytes that inputs and activations take at any moment of one forward.

    Counted by following every tensor that an operation makes until nothing refers to it any more;
    tensors that share memory count once, weights do not count. What kernels use within one
    operation is not seen.
    """
    known = {_address(tensor) for tensor in (*module.parameters(), *module.buffers())}
    with torch.inference_mode():
        counting = _CountingMode(known)
        counting.note(inputs)
        with counting:
            module(inputs)
    return counting.peak


class _CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that are alive."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._known = known
        self._alive: dict[int, tuple[int, int]] = {}  # by address: bytes, and tensors that use it

    def note(self, tensor: Tensor) -> None:
        address = _address(tensor)
        if address in self._known:
            return
        size = tensor.untyped_storage().nbytes()
        _, users = self._alive.get(address, (size, 0))
        self._alive[address] = (size, users + 1)
        weakref.finalize(tensor, self._forget, address)
        self.peak = max(self.peak, sum(size for size, _ in self._alive.values()))

    def _forget(self, address: int) -> None:
        size, users = self._alive[address]
        if users > 1:
            self._alive[address] = (size, users - 1)
        else:
            del self._alive[address]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        before = {id(each) for each in tree_leaves((args, kwargs))}
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and id(leaf) not in before:
                self.note(leaf)
        return made


def _address(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address
