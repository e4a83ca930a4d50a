"""How fast pruned networks are, beside their baseline, in one of the runtimes."""

from collections.abc import Generator
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from core.device import DTYPES, machine_name, resolve_precision, usable_cores
from core.errors import InputError
from core.export.extras import version_of
from core.export.runtimes import RUNTIMES, Runtime, load
from core.formatting import decimal
from core.measuring.alternating import Round, Speedup
from core.measuring.cost import cost
from core.measuring.latency import ROUNDS, compare_latency, peak_activation_bytes
from core.networks.inference import for_inference
from core.networks.network import Network
from core.results import Conditions, Latency, LatencyKey

BATCHES = (1, 64)
COPIES = 3
SEED = 0


def usual_threads() -> int:
    """Return the threads that latencies are measured with unless told: those of evaluations."""
    return min(torch.get_num_threads(), usable_cores())


def precision_for(runtime: Runtime, precision: str, device: torch.device) -> str:
    """Resolve `auto` to the device's precision, or to fp32 where the runtime lacks it.

    Raises InputError for a precision that the runtime lacks.
    """
    resolved = resolve_precision(precision, runtime.device(device))
    if resolved in runtime.precisions:
        return resolved
    if precision != "auto":
        raise InputError(
            f"{runtime.label} runs networks in {' or '.join(runtime.precisions)} here, not in "
            f"{precision}: choose another precision."
        )
    return "fp32"


def conditions_here(
    runtime: Runtime, precision: str, batch: int, threads: int, device: torch.device
) -> Conditions:
    """Return the conditions of a measurement on this machine, if `device` is wanted."""
    device = runtime.device(device)
    return Conditions(
        machine_name(device),
        device.type,
        runtime.name,
        precision,
        batch,
        threads,
        f"{runtime.package} {version_of(runtime.package)}",
    )


def measure_latency(
    key: LatencyKey,
    pruned: Network,
    baseline: Network,
    runtime: Runtime,
    device: torch.device,
    rounds: int = ROUNDS,
) -> Generator[Round, None, Latency]:
    """Time a pruned network and its baseline alternately; can be dropped at any event.

    Both are loaded anew COPIES times, because how fast a copy runs depends on where it lies in
    memory, by up to a third; each pair of copies runs `rounds` rounds. The inputs are random: what
    a network takes of the time does not depend on the pictures. Raises InputError if the runtime is
    not installed, or cannot run the networks.
    """
    conditions = key.conditions
    inputs = example_inputs(baseline, conditions.batch)
    networks = ((runtime, pruned), (RUNTIMES[runtime.beside or runtime.name], baseline))
    found, ran_on = [], ""
    for copy in range(COPIES):
        sides = [
            (load(how, network, inputs, conditions.precision, conditions.threads, device), inputs)
            for how, network in networks
        ]
        (candidate, _), _ = sides
        ran_on = candidate.ran_on
        steps = compare_latency(sides, conditions.threads, rounds)
        seconds = yield from _numbered(steps, copy * rounds, COPIES * rounds)
        found.append(seconds)
    return Latency(
        key,
        Speedup.of(np.concatenate(found)),
        cost(pruned).macs_nonzero / cost(baseline).macs,
        peak_bytes(pruned, conditions),
        peak_bytes(baseline, conditions),
        ran_on,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _numbered(
    steps: Generator[Round, None, np.ndarray], before: int, total: int
) -> Generator[Round, None, np.ndarray]:
    """Count the rounds of one pair of copies on from those before."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            seconds: np.ndarray = end.value
            return seconds
        yield Round(before + event.done, total)


def example_inputs(network: Network, batch: int) -> Tensor:
    """Return random normalised inputs, fp32 (batch, colours, height, width)."""
    _, *image = network.signature.example
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(batch, *image, generator=generator)


def peak_bytes(network: Network, conditions: Conditions) -> int:
    """Return the most bytes of inputs and activations at once, in PyTorch on the CPU."""
    module = for_inference(network, torch.device("cpu"), conditions.precision)
    inputs = example_inputs(network, conditions.batch).to(DTYPES[conditions.precision])
    return peak_activation_bytes(module, inputs.contiguous(memory_format=network.memory_format))


def speedup_in_words(speedup: Speedup) -> str:
    """Say how fast a network is beside its baseline, with the middle half of the rounds."""
    spread = f"{decimal(speedup.low, 2)} to {decimal(speedup.high, 2)}"
    if not speedup.differs:
        return f"no difference ({spread} times as fast)"
    return f"{decimal(speedup.median, 2)} times as fast ({spread})"
