"""Fine-tuning: training on after pruning, while what was zeroed stays zero."""

import copy
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch

from core.data.dataset import TrainingImages, subset_indices
from core.networks.batch_norm import Recovering, recalibrate
from core.networks.network import Network
from core.specs.recovery import BASELINE, RECALIBRATED, Recovery
from core.training import EpochEnd, History, Recipe, Split, Step, train
from core.training.recipe import batch_size_for

HELD_OUT = 1000
"""Training images that fine-tuning never sees, for its live accuracy; at most a tenth of all."""
HELD_OUT_SEED = 1
LEARNING_RATE = 0.02
SMALLEST_BATCH = 16  # images
STEPS = 40  # at least, where batches can be that small


@dataclass(frozen=True)
class Tuning(Recovering):
    """The progress of fine-tuning, in images trained on."""

    loss: float = float("nan")  # of the last batch
    correct: int = 0  # of the held-out training images, at the end of a pass
    seen: int = 0  # 0 between the ends of passes
    seconds_left: float = 0.0


def finetune(
    network: Network,
    recovery: Recovery,
    training: TrainingImages,
    teacher: Network,
    precision: str = "auto",
    device: torch.device | None = None,
    resume_file: Path | None = None,
) -> Generator[Recovering, None, Network]:
    """Train a copy of a pruned network on; yield progress, return the tuned network.

    With the targets `baseline`, it learns the probabilities that `teacher` gives (Hinton, Vinyals,
    Dean: "Distilling the Knowledge in a Neural Network", 2015), else the labels. Images are drawn
    stratified by class; more than there are means several passes. What the last step leaves counts,
    with batch-norm recalibrated. With a `resume_file`, a training that was killed goes on from
    where it was last saved there; the caller deletes it.
    """
    split = split_for(training, recovery)
    recipe = recipe_for(recovery.images, len(split.labels), training.can_be_mirrored)
    tuned = network.with_module(copy.deepcopy(network.module).requires_grad_(True))
    teachers = [teacher] if recovery.targets == BASELINE else []
    total = recipe.epochs * (len(split.labels) // recipe.batch_size) * recipe.batch_size
    for event in train(
        tuned,
        split,
        recipe,
        recovery.seed,
        History(),
        resume_file,
        device,
        teachers=teachers,
        hold_zeros=True,
    ):
        match event:
            case Step():
                done = event.step * recipe.batch_size
                yield Tuning(done, total, event.loss, seconds_left=event.seconds_left)
            case EpochEnd():
                done = total * event.epoch // event.epochs
                yield Tuning(done, total, event.loss, event.correct, event.seen)
    tuned.module.cpu().requires_grad_(False)
    images = training.draw(RECALIBRATED.images, recovery.seed)
    return (yield from recalibrate(tuned, images, precision, device))


def split_for(training: TrainingImages, recovery: Recovery) -> Split:
    """Draw the images to train on, and others for the live accuracy."""
    everything = len(training.labels)
    held_out = min(HELD_OUT, everything // 10)
    is_left = torch.ones(everything, dtype=torch.bool)
    validation = subset_indices(training.labels, held_out, HELD_OUT_SEED)
    is_left[validation] = False
    left = is_left.nonzero().flatten()
    size = min(recovery.images, len(left))
    drawn = left[subset_indices(training.labels[left], size, recovery.seed)]
    return Split(
        training.images[drawn],
        training.labels[drawn],
        training.images[validation],
        training.labels[validation],
    )


def recipe_for(images: int, drawn: int, can_be_mirrored: bool) -> Recipe:
    """Return the recipe for training on so many images, of which `drawn` are distinct."""
    return Recipe(
        epochs=max(1, round(images / drawn)),
        optimiser="sgd",
        learning_rate=LEARNING_RATE,
        batch_size=min(batch_size_for(images, STEPS, SMALLEST_BATCH), drawn),
        label_smoothing=0.0,
        flip=can_be_mirrored,
    )
