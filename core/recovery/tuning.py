"""Training a pruned network on: its images, its recipe and its progress."""

import copy
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from core.data.dataset import TrainingImages, subset_indices
from core.data.subsets import SMALLEST_SUBSET
from core.errors import InputError
from core.measuring.evaluation import evaluate_fully
from core.networks.batch_norm import Recovering, recalibrate
from core.networks.network import Network
from core.specs.recovery import BASELINE, RECALIBRATED, Recovery
from core.training import EpochEnd, History, Recipe, Split, Step, train
from core.training.recipe import LARGEST_BATCH, batch_size_for

HELD_OUT = 1000
"""Training images that fine-tuning never sees, for its live accuracy; at most a tenth of all."""
HELD_OUT_SEED = 1
LEARNING_RATE = 0.02
"""With the largest batches. It is scaled by the size of the batch (Goyal et al., "Accurate, Large
Minibatch SGD", 2017): a higher rate spoils what reconstruction has brought back."""
FEWEST = 50  # training images
SMALLEST_BATCH = 16  # images
STEPS = 40  # at least, where batches can be that small
LOOKS = 8  # at the held-out images, at most, in a training
IMAGES_PER_LOOK = 2  # images trained on between two looks, at least, per held-out image


@dataclass(frozen=True)
class Tuning(Recovering):
    """The progress of training, in images trained on."""

    loss: float = float("nan")  # of the last batch
    correct: int = 0  # of the held-out training images
    seen: int = 0  # 0 where they were not looked at
    seconds_left: float = 0.0


@dataclass(frozen=True)
class Lessons:
    """What a network is trained with, part after part."""

    recipe: Recipe  # of one part
    seed: int
    teachers: Sequence[Network]  # their answers are learnt; none means the labels
    total: int  # images trained on in all parts
    precision: str = "auto"
    device: torch.device | None = None


def tune(
    network: Network, split: Split, lessons: Lessons, begins: int, resume_file: Path | None
) -> Generator[Tuning, None, None]:
    """Train the network's module in place, zeros held; yield progress.

    `begins` is the number of images trained on before. The held-out images are looked at before the
    first step, now and then, and after each pass.
    """
    recipe = lessons.recipe
    if not begins and not (resume_file and resume_file.exists()):
        yield _look(network, split, lessons, 0)
    passes = images_of(recipe, split) // recipe.epochs
    between = max(lessons.total / LOOKS, IMAGES_PER_LOOK * len(split.validation_labels))
    next_look = between
    for event in train(
        network,
        split,
        recipe,
        lessons.seed,
        History(),
        resume_file,
        lessons.device,
        teachers=lessons.teachers,
        hold_zeros=True,
    ):
        match event:
            case Step():
                done = event.step * recipe.batch_size
                left = lessons.total - begins - done
                yield Tuning(
                    begins + done,
                    lessons.total,
                    event.loss,
                    seconds_left=left / event.images_per_second,
                )
                if done >= next_look and done % passes:  # after a pass, the loop looks
                    next_look = done + between
                    yield _look(network, split, lessons, begins + done)
            case EpochEnd():
                done = passes * event.epoch
                next_look = done + between
                yield Tuning(begins + done, lessons.total, event.loss, event.correct, event.seen)


def _look(network: Network, split: Split, lessons: Lessons, done: int) -> Tuning:
    looked = evaluate_fully(
        network,
        split.validation_images,
        split.validation_labels,
        lessons.precision,
        lessons.device,
    )
    return Tuning(done, lessons.total, correct=looked.correct, seen=looked.seen)


def images_of(recipe: Recipe, split: Split) -> int:
    """Return how many images a training sees: whole batches only."""
    steps = max(1, len(split.labels) // recipe.batch_size)
    return recipe.epochs * steps * recipe.batch_size


def split_for(training: TrainingImages, recovery: Recovery) -> Split:
    """Draw the images to train on, and others for the live accuracy.

    Raises InputError if there are fewer than FEWEST.
    """
    everything = len(training.labels)
    if everything < FEWEST:
        raise InputError(
            f"{everything:,} training images are too few to fine-tune on: {FEWEST} at least."
        )
    held_out = min(HELD_OUT, max(SMALLEST_SUBSET, everything // 10))
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
    batch_size = min(batch_size_for(images, STEPS, SMALLEST_BATCH), drawn)
    return Recipe(
        epochs=max(1, round(images / drawn)),
        optimiser="sgd",
        learning_rate=LEARNING_RATE * batch_size / LARGEST_BATCH,
        batch_size=batch_size,
        label_smoothing=0.0,
        flip=can_be_mirrored,
    )


def teachers_of(recovery: Recovery, baseline: Network) -> list[Network]:
    """Return the networks whose answers are learnt; none where the labels are."""
    return [baseline] if recovery.targets == BASELINE else []


def copy_to_train(network: Network) -> Network:
    """Return a copy whose parameters can be trained."""
    return network.with_module(copy.deepcopy(network.module).requires_grad_(True))


def settled(
    network: Network, training: TrainingImages, recovery: Recovery, lessons: Lessons
) -> Generator[Recovering, None, Network]:
    """Return a trained network with batch-norm recalibrated, not to be trained any more."""
    network.module.cpu().requires_grad_(False)
    images = training.draw(RECALIBRATED.images, recovery.seed)
    return (yield from recalibrate(network, images, lessons.precision, lessons.device))
