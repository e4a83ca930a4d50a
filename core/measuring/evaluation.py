"""Evaluate a network on test images, batch by batch."""

from collections.abc import Callable, Generator, Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.device import DTYPES, best_device, resolve_precision
from core.errors import InputError
from core.measuring.outcome import Evaluation, confidence_codes
from core.networks.inference import for_inference
from core.networks.network import Network

BATCH_SIZES = {"cpu": 100, "cuda": 1000, "mps": 500}
"""Batch size by device type.

Larger batches outgrow a processor's cache, smaller ones leave a GPU idle. On the CPU the size is
part of what makes counts repeatable to the bit.
"""


def evaluate(
    network: Network,
    images: Tensor,
    labels: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Iterator[Evaluation]:
    """Classify uint8 images (N, 3, H, W); yield after every batch; the last event is complete.

    The network is not modified. The generator can be dropped at any event. Raises InputError
    for an unknown precision or no images.
    """
    if not len(images):
        raise InputError("There are no images to evaluate: choose a subset of at least 10.")
    device = device or best_device()
    precision = resolve_precision(precision, device)
    batch_size = BATCH_SIZES[device.type]
    batches = (
        network.inputs(images[start : start + batch_size].to(device), DTYPES[precision])
        for start in range(0, len(images), batch_size)
    )
    yield from classify(for_inference(network, device, precision), batches, labels)


def classify(
    network: Callable[[Tensor], Tensor], batches: Iterable[Tensor], labels: Tensor
) -> Generator[Evaluation, None, None]:
    """Do the work of `evaluate`, on normalised batches in the network's dtype and device.

    All batches together have as many images as `labels`, int64 (N,).
    """
    predictions = np.empty(len(labels), dtype=np.int64)
    codes = np.empty(len(labels), dtype=np.uint8)
    known_labels = labels.numpy()
    loss_sum = 0.0
    seen = 0
    for inputs in batches:
        batch = slice(seen, seen + len(inputs))
        seen += len(inputs)
        with torch.inference_mode():  # not around the yield: grad mode belongs to a thread
            logits = network(inputs).float().cpu()
            predictions[batch] = logits.argmax(1).numpy()
            codes[batch] = confidence_codes(logits.softmax(1).amax(1).numpy())
            loss_sum += F.cross_entropy(logits, labels[batch], reduction="sum").item()
        yield Evaluation(
            total=len(labels),
            predictions=predictions[:seen].copy(),
            labels=known_labels[:seen],
            loss_sum=loss_sum,
            codes=codes[:seen].copy(),
        )


def evaluate_fully(
    network: Network,
    images: Tensor,
    labels: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Evaluation:
    """Run `evaluate` to its end and return the last event."""
    evaluation = None
    for evaluation in evaluate(network, images, labels, precision, device):  # noqa: B007
        pass
    assert evaluation is not None
    return evaluation
