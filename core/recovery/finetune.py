"""Fine-tuning: training on after pruning, while what was zeroed stays zero."""

from collections.abc import Generator
from pathlib import Path

from core.evidence import Evidence
from core.networks.batch_norm import Recovering
from core.networks.network import Network
from core.recovery.tuning import (
    Lessons,
    copy_to_train,
    images_of,
    recipe_for,
    settled,
    split_for,
    teachers_of,
    tune,
)
from core.specs.recovery import Recovery


def finetune(
    network: Network,
    recovery: Recovery,
    evidence: Evidence,
    resume_file: Path | None = None,
) -> Generator[Recovering, None, Network]:
    """Train a copy of a pruned network on; yield progress, return the tuned network.

    With the targets `baseline`, it learns the probabilities that the baseline gives (Hinton,
    Vinyals, Dean: "Distilling the Knowledge in a Neural Network", 2015), else the labels. Images
    are drawn stratified by class; more than there are means several passes. What the last step
    leaves counts, with batch-norm recalibrated. With a `resume_file`, a training that was killed
    goes on from where it was last saved there; the caller deletes it.
    """
    training = evidence.training
    split = split_for(training, recovery)
    recipe = recipe_for(recovery.images, len(split.labels), training.can_be_mirrored)
    lessons = Lessons(
        recipe,
        recovery.seed,
        teachers_of(recovery, evidence.network),
        images_of(recipe, split),
        evidence.precision,
        evidence.device,
    )
    tuned = copy_to_train(network)
    yield from tune(tuned, split, lessons, 0, resume_file)
    return (yield from settled(tuned, training, recovery, lessons))
