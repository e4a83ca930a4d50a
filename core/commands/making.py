"""Make the network of a point."""

import argparse
from collections.abc import Generator

from tqdm import tqdm

from core.data.dataset import DataSet
from core.evidence import Evidence, local_evidence
from core.networks.batch_norm import Recovering, finished
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.pruning import Pruned
from core.recovery.recover import recover_fully, recover_without_images
from core.recovery.tuning import Tuning
from core.specs.point import Point
from core.sweeps.measurer import needs_images, new_pruner
from core.sweeps.tuned import tuned


def make(
    point: Point, source: Checkpoint, dataset: DataSet | None, options: argparse.Namespace
) -> tuple[Pruned, Network]:
    """Prune and recover; print notes. Return what was pruned, and the network as recovered.

    Without a data set, the recovery must need no images.
    """
    evidence = None
    if dataset is not None:
        evidence = local_evidence(source, dataset.training, options.precision, options.device)
        if needs_images(point.spec):
            finished(evidence.saliency())
    pruned = new_pruner(source).prune(point.spec)
    for note in pruned.notes:
        print(note)
    network = pruned.network
    if not point.recovery.needs_images:
        network = recover_without_images(pruned, point.recovery, source.network)
    elif evidence is not None:
        network = _recovered(pruned, point, source, evidence, options.json)
    return pruned, network


def _recovered(
    pruned: Pruned, point: Point, source: Checkpoint, evidence: Evidence, quiet: bool
) -> Network:
    """Recover the network; with a progress bar where it is trained."""
    if not point.recovery.trains:
        return recover_fully(pruned, point.recovery, evidence)
    network: list[Network] = []

    def steps() -> Generator[Recovering, None, None]:
        network.append((yield from tuned(pruned, point, source, evidence)))

    with tqdm(desc="Fine-tuning", unit="image", disable=quiet, dynamic_ncols=True) as bar:
        for progress in steps():
            bar.total = progress.total
            bar.update(progress.done - bar.n)
            if isinstance(progress, Tuning) and progress.seen:
                bar.set_postfix_str(f"{progress.correct / progress.seen:.1%} of held-out images")
    return network[0]
