"""Tables of layers' times on this machine, each measured once and kept as a file."""

import hashlib
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import torch
from torch import Tensor, nn

from core import paths
from core.device import DTYPES
from core.errors import InputError
from core.files import written_atomically
from core.measuring.alternating import Round, Speedup
from core.measuring.latency import compare_latency
from core.networks.batch_norm import finished
from core.networks.inference import for_inference
from core.networks.network import Network
from core.results import Conditions
from core.studies.budget.times import LayerTimes, measure_layer_times
from core.studies.latency import example_inputs

FOLDER = "times"
VERSION = 1
"""Increase it when what is timed changes, so that tables are measured again."""
WHOLE_ROUNDS = 9


def times_file(network: Network, fingerprint: str, conditions: Conditions) -> Path:
    """Return where the table of a baseline is kept."""
    asked = (VERSION, network.signature.identity, astuple(conditions))
    digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    return paths.CHECKPOINTS / paths.LOCAL / FOLDER / f"{fingerprint}-{digest}.json"


def layer_times(
    network: Network, fingerprint: str, conditions: Conditions, device: torch.device
) -> Generator[Round, None, LayerTimes]:
    """Return the table of an unpruned network in PyTorch; measure it first where there is none.

    A damaged one is measured again. One that cannot be kept is returned all the same.
    """
    path = times_file(network, fingerprint, conditions)
    if path.exists():
        with suppress(InputError, OSError, UnicodeDecodeError):
            kept = LayerTimes.from_json(path.read_text(encoding="utf-8"))
            if kept.grids.keys() <= network.layers.keys():
                return kept
    dtype, order = DTYPES[conditions.precision], network.memory_format

    def prepare(layer: nn.Module, inputs: Tensor) -> tuple[Callable[[Tensor], object], Tensor]:
        ready = layer.to(device, dtype).eval()
        given = inputs.to(device, dtype)
        if given.ndim == 4:
            ready, given = ready.to(memory_format=order), given.contiguous(memory_format=order)
        return ready, given

    inputs = example_inputs(network, conditions.batch).to(device, dtype)
    whole = (for_inference(network, device, conditions.precision), inputs)
    steps = compare_latency([whole, whole], conditions.threads, WHOLE_ROUNDS)
    timed = Speedup.of(finished(steps))
    times = yield from measure_layer_times(
        network, timed.reference_seconds, conditions.batch, conditions.threads, prepare
    )
    # On a full disk, or in a folder that cannot be written, it is measured again next time.
    with suppress(OSError), written_atomically(path) as temporary:
        temporary.write_text(times.to_json(), encoding="utf-8")
    return times
