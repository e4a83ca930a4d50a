"""A network and test images in, a stream of ever more certain accuracies out."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.data import normalise
from core.device import DTYPES, best_device, resolve_precision
from core.errors import InputError
from core.pruning.groups import trace
from core.statistics import wilson_interval

BATCH_SIZE = 100
"""Images a step: larger batches outgrow a processor's cache and run slower."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is known after the first `seen` images of a subset of `total`."""

    total: int
    predictions: np.ndarray  # int64 (seen,), in the order of the subset
    labels: np.ndarray  # int64 (seen,)
    loss_sum: float  # cross-entropy, summed over the images seen

    @property
    def seen(self) -> int:
        return len(self.predictions)

    @property
    def is_right(self) -> np.ndarray:
        """Boolean, (seen,): which images are classified correctly."""
        right: np.ndarray = self.predictions == self.labels
        return right

    @property
    def correct(self) -> int:
        return int(np.count_nonzero(self.is_right))

    @property
    def accuracy(self) -> float:
        return self.correct / self.seen

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.correct, self.seen)

    @property
    def loss(self) -> float:
        return self.loss_sum / self.seen

    def per_class(self, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Correct and seen images of each class, int64 (classes,) each."""
        return (
            np.bincount(self.labels[self.is_right], minlength=classes),
            np.bincount(self.labels, minlength=classes),
        )

    @property
    def is_complete(self) -> bool:
        return self.seen == self.total


def for_inference(model: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """A copy of the model that only classifies, in `precision` ("fp32" or "bf16").

    Batch-norms are folded into their convolutions, in fp32; what is left is channels_last.
    """
    network = copy.deepcopy(model).eval()
    modules = dict(network.named_modules())
    for conv_name, batch_norm_name in trace(network).batch_norm_of.items():
        conv, batch_norm = modules[conv_name], modules[batch_norm_name]
        if isinstance(conv, nn.Conv2d) and isinstance(batch_norm, nn.BatchNorm2d):
            network.set_submodule(conv_name, fuse_conv_bn_eval(conv, batch_norm))
            network.set_submodule(batch_norm_name, nn.Identity())
    return network.to(device, DTYPES[precision]).to(memory_format=torch.channels_last)


def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Evaluation]:
    """Classify uint8 images (N, 3, 32, 32); yield after every batch, the last time complete.

    The model is copied, not touched. The generator can be dropped at any event. Raises InputError
    for an unknown precision or no images.
    """
    if not len(images):
        raise InputError("There are no images to evaluate: choose a subset of at least 10.")
    device = device or best_device()
    precision = resolve_precision(precision, device)
    batches = (
        normalise(images[start : start + batch_size].to(device), DTYPES[precision])
        for start in range(0, len(images), batch_size)
    )
    yield from classify(for_inference(model, device, precision), batches, labels)


def classify(
    network: Callable[[Tensor], Tensor], batches: Iterable[Tensor], labels: Tensor
) -> Iterator[Evaluation]:
    """What `evaluate` does, with a network and normalised batches that are ready for each other.

    Together the batches are as long as `labels`, int64 (N,).
    """
    predictions = np.empty(len(labels), dtype=np.int64)
    known_labels = labels.numpy()
    loss_sum = 0.0
    seen = 0
    for inputs in batches:
        batch = slice(seen, seen + len(inputs))
        seen += len(inputs)
        with torch.inference_mode():  # grad mode is a thread's own, and a yield may change threads
            logits = network(inputs).float().cpu()
            predictions[batch] = logits.argmax(1).numpy()
            loss_sum += F.cross_entropy(logits, labels[batch], reduction="sum").item()
        yield Evaluation(
            total=len(labels),
            predictions=predictions[:seen].copy(),
            labels=known_labels[:seen],
            loss_sum=loss_sum,
        )


def evaluate_fully(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Evaluation:
    """The last event of `evaluate`."""
    evaluation = None
    for evaluation in evaluate(model, images, labels, precision, device):  # noqa: B007
        pass
    assert evaluation is not None
    return evaluation
