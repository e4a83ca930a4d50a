"""What is not in a file of weights, found on training images: normalisation and computation."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.dataset import DataSet, subset_indices
from core.data.normalisation import KNOWN, Normalisation
from core.errors import InputError
from core.measuring.evaluation import evaluate_fully
from core.measuring.outcome import Evaluation
from core.measuring.statistics import is_better_than_guessing, mcnemar
from core.networks.foreign import Fitted
from core.networks.foreign.state import EPOCHS
from core.networks.network import Network

IMAGES_TO_TRY = 1000
SAME = 0.01
"""Normalisations whose paired test gives at least this p-value cannot be told apart; strict, since
the best of several is compared."""
MOST_BY_CHANCE = 0.5
"""A fraction of right answers that the best order of the classes does not reach by chance."""
FAR_BELOW = 0.05
"""A network is right about more training images than test images, so less is a reason to ask."""


@dataclass(frozen=True)
class Tried:
    """What one normalisation gave on training images."""

    name: str
    normalisation: Normalisation
    correct: int
    seen: int
    is_best: bool = False
    can_be_told_apart: bool = True  # from the best one

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "mean": self.normalisation.mean,
            "std": self.normalisation.std,
            "correct": self.correct,
            "seen": self.seen,
            "is_best": self.is_best,
            "can_be_told_apart": self.can_be_told_apart,
        }


@dataclass(frozen=True)
class Trying:
    """Progress: so many networks or normalisations were tried."""

    what: str  # in the plural
    done: int
    total: int


def with_normalisation(network: Network, normalisation: Normalisation) -> Network:
    return replace(network, signature=replace(network.signature, normalisation=normalisation))


def best_network(
    fits: list[Fitted], dataset: DataSet, device: torch.device
) -> Generator[Trying, None, tuple[Fitted, list[str]]]:
    """Return the network that is right about most training images, and a sentence on the others.

    All take the same tensors, but compute something else, so that only images tell which it is.
    """
    if len(fits) == 1:
        return fits[0], []
    images, labels = _training_images(dataset)
    found: list[Evaluation] = []
    for fitted in fits:
        yield Trying("networks", len(found), len(fits))
        found.append(evaluate_fully(fitted.network, images, labels, device=device))
    # Whatever the order of its classes, the right network tells the images apart.
    best = max(range(len(fits)), key=lambda number: _best_order(found[number], dataset.classes)[1])
    each = [
        f"{fitted.network.architecture} is right about {evaluation.correct:,}"
        for fitted, evaluation in zip(fits, found, strict=True)
    ]
    note = f"The tensors fit several networks: of {len(labels):,} training images {', '.join(each)}"
    return fits[best], [f"{note}. Taken: {fits[best].network.architecture}."]


def try_normalisations(
    network: Network, dataset: DataSet, device: torch.device
) -> Generator[Trying, None, tuple[Tried, ...]]:
    """Evaluate with each known normalisation on seeded training images.

    The most correct answers win, then the lower loss. Test images are not used, because they judge
    the result.
    """
    images, labels = _training_images(dataset)
    candidates = dict(KNOWN)
    if dataset.normalisation not in candidates.values():
        candidates = {dataset.name: dataset.normalisation, **candidates}
    found: dict[str, Evaluation] = {}
    for name, normalisation in candidates.items():
        yield Trying("normalisations", len(found), len(candidates))
        tried = with_normalisation(network, normalisation)
        found[name] = evaluate_fully(tried, images, labels, device=device)
    yield Trying("normalisations", len(found), len(candidates))
    best = max(found, key=lambda name: (found[name].correct, -found[name].loss_sum))
    return tuple(
        Tried(
            name,
            candidates[name],
            each.correct,
            each.seen,
            is_best=name == best,
            can_be_told_apart=mcnemar(found[best].is_right, each.is_right).p_value < SAME,
        )
        for name, each in found.items()
    )


def _training_images(dataset: DataSet) -> tuple[Tensor, Tensor]:
    size = min(IMAGES_TO_TRY, len(dataset.train_labels))
    chosen = subset_indices(dataset.train_labels, size)
    return dataset.train_images[chosen], dataset.train_labels[chosen]


def check_answers(
    network: Network, said: Mapping[str, float], dataset: DataSet, device: torch.device
) -> list[str]:
    """Return what looks wrong; raise InputError if the classes are in another order.

    `said` are the accuracy and epoch that the file states.
    """
    images, labels = _training_images(dataset)
    found = evaluate_fully(network, images, labels, device=device)
    if is_better_than_guessing(found.correct, found.seen, dataset.classes):
        return _far_below(said, found, network)
    order, right = _best_order(found, dataset.classes)
    if right > MOST_BY_CHANCE * found.seen:
        first = [f"{dataset.class_names[ours]} is its class {order[ours]}" for ours in range(3)]
        raise InputError(
            f"The network's classes are in another order than the data set's: {', '.join(first)} "
            f"and so on, by which {right:,} of {found.seen:,} training images are right. Reorder "
            "the rows of its last layer, or the folders of the images."
        )
    return [
        f"It is right about {found.correct:,} of {found.seen:,} training images, which is not told "
        f"apart from guessing: {_causes(network)}."
    ]


def _far_below(said: Mapping[str, float], found: Evaluation, network: Network) -> list[str]:
    """Say that a network is far from the accuracy that its file states, in % or as a fraction."""
    stated = {name: value for name, value in said.items() if name not in EPOCHS and value > 0}
    if not stated:
        return []
    name, value = max(stated.items(), key=lambda item: item[1])
    fraction = value if value <= 1 else value / 100
    if found.correct / found.seen > fraction - FAR_BELOW:
        return []
    return [
        f"The file states {name} {value:.4g}, but it is right about only {found.correct:,} of "
        f"{found.seen:,} training images here: {_causes(network)}."
    ]


def _causes(network: Network) -> str:
    return (
        "it was trained for other images or another normalisation, or computes something else than "
        f"{network.architecture} with these weights"
    )


def _best_order(found: Evaluation, classes: int) -> tuple[np.ndarray, int]:
    """Return the class of the network that fits each class best, and how many are then right."""
    from scipy.optimize import linear_sum_assignment  # a local import: it takes most of a second

    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (found.labels, found.predictions), 1)
    ours, theirs = linear_sum_assignment(counts, maximize=True)
    return theirs, int(counts[ours, theirs].sum())
