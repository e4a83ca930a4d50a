"""Benchmarks of reconstruction: collecting its evidence, and a new ratio."""

from functools import lru_cache
from statistics import median

import torch

from benchmarks.benchmark import Measured
from benchmarks.material import images, network
from benchmarks.pruning import new_ratio
from benchmarks.timing import alternate
from core.evidence import Moments, collect
from core.measuring.evaluation import evaluate_fully
from core.networks.batch_norm import finished
from core.pruning import Pruner
from core.recovery.reconstruct import reconstruct
from core.specs.pruning import PruningSpec

EVIDENCE_IMAGES = 2000


def evidence(repeats: int) -> Measured:
    """Compare collecting the moments of images with evaluating as many."""
    model, _ = network()
    drawn, labels = images().training.draw(EVIDENCE_IMAGES), torch.zeros(EVIDENCE_IMAGES).long()
    timings = alternate(
        {
            "collect": lambda _: finished(collect(model, drawn)),
            "evaluate": lambda _: evaluate_fully(model, drawn, labels),
        },
        repeats,
    )
    return Measured(median(timings["collect"]) / median(timings["evaluate"]), timings)


def channels(repeats: int) -> Measured:
    """Measure the seconds of reconstruction at a new ratio of channels."""
    model, _ = network()
    pruner, known = Pruner(model), _moments()

    def at_a_new_ratio(number: int) -> None:
        pruned = pruner.prune(PruningSpec("channel", new_ratio(number)))
        reconstruct(model, pruned.network, pruned.kept, known)

    timings = alternate({"channels": at_a_new_ratio}, repeats)
    return Measured(median(timings["channels"]), timings)


def weights(repeats: int) -> Measured:
    """Measure the seconds of reconstruction at a new ratio of single weights."""
    model, _ = network()
    pruner, known = Pruner(model), _moments()

    def at_a_new_ratio(number: int) -> None:
        pruned = pruner.prune(PruningSpec("fine", new_ratio(number)))
        reconstruct(model, pruned.network, pruned.kept, known)

    timings = alternate({"weights": at_a_new_ratio}, repeats)
    return Measured(median(timings["weights"]), timings)


@lru_cache(maxsize=1)
def _moments() -> dict[str, Moments]:
    return finished(collect(network()[0], images().training.draw(EVIDENCE_IMAGES)))
