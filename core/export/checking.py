"""Check an exported file: the same logits as in PyTorch, and as many images right."""

from collections.abc import Callable

import torch
from torch import Tensor

from core.errors import InputError
from core.export.subject import BATCH, Subject

TOLERANCE = 1e-3
"""Largest difference of logits; relative to the largest logit where that is above 1."""
BATCHES = (1, 64)
"""Further batch sizes that a file is tried with."""


def checked(run: Callable[[Tensor], Tensor], subject: Subject, where: str) -> str:
    """Run a file on the subject's images; return one sentence on what was found.

    `run` maps the exported network's inputs, fp32 on the CPU, to logits; `where` names what runs
    it. Raises InputError if logits or the number of images that it is right about differ.
    """
    inputs, expected = subject.inputs, subject.logits
    logits = torch.cat([run(each) for each in torch.split(inputs, BATCH)])
    difference = largest_difference(logits, expected)
    for size in BATCHES:
        chosen = torch.arange(size) % len(inputs)
        difference = max(
            difference, largest_difference(run(inputs[chosen]), expected[chosen]), key=_or_nan
        )
    largest = max(1.0, float(expected.abs().max()))
    if not difference <= TOLERANCE * largest:
        raise InputError(
            f"Nothing was written: in {where}, logits differ from PyTorch's by up to "
            f"{difference:.2g}. Choose another format."
        )
    sizes = " and ".join(map(str, BATCHES))
    found = f"logits within {difference:.1g} of PyTorch's, in batches of {sizes} too"
    if subject.labels is None:
        return (
            f"in {where}, {found}, on {len(inputs)} random images; no accuracy was compared, "
            "because the test images are not on this machine."
        )
    right, expected_right = (correct(each, subject.labels) for each in (logits, expected))
    if right != expected_right:
        raise InputError(
            f"Nothing was written: in {where}, the network is right about {right} of "
            f"{len(inputs)} test images, but in PyTorch about {expected_right}. Choose another "
            "format."
        )
    return f"in {where}, {found}, and right about {right} of {len(inputs)} test images in both."


def largest_difference(logits: Tensor, expected: Tensor) -> float:
    """Return the largest absolute difference, infinite if the shapes differ."""
    if logits.shape != expected.shape:
        return float("inf")
    return float((logits - expected).abs().max())


def correct(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1) == labels).sum())


def _or_nan(difference: float) -> float:
    """Sort what is no number last, so that it is the largest."""
    return float("inf") if difference != difference else difference
