"""Benchmarks of live evaluation against other runtimes, which are optional."""

from collections.abc import Callable

import torch

from benchmarks.benchmark import CannotRunError, Measured
from benchmarks.material import network, test_images
from benchmarks.timing import alternate, speedup
from core.device import best_device, resolve_precision
from core.errors import InputError
from core.export.runtimes import RUNTIMES, load
from core.measuring.evaluation import BATCH_SIZES
from core.studies.latency import precision_for

IMAGES = 1000


def against(name: str) -> Callable[[int], Measured]:
    """Return a benchmark of PyTorch, as the app evaluates, against another runtime.

    Both get the same normalised batches; their precisions are those of `auto`.
    """

    def measure(repeats: int) -> Measured:
        runtime, device = RUNTIMES[name], best_device()
        if missing := runtime.missing():
            raise CannotRunError(missing)
        model, _ = network()
        images, _ = test_images()
        size = BATCH_SIZES[device.type]
        batches = [model.inputs(images[start : start + size]) for start in range(0, IMAGES, size)]
        precision = resolve_precision("auto", device)
        other = precision_for(runtime, "auto", device)
        threads = torch.get_num_threads()
        try:
            sides = {
                "core": load(RUNTIMES["pytorch"], model, batches[0], precision, None, device),
                name: load(runtime, model, batches[0], other, threads, device),
            }
        except InputError as error:
            raise CannotRunError(str(error)) from error
        timings = alternate(
            {
                side: lambda _, run=run: [run(batch) for batch in batches]  # type: ignore[misc]
                for side, run in sides.items()
            },
            repeats,
        )
        return Measured(speedup(timings, "core", name), timings, note=f"{precision} beside {other}")

    return measure
