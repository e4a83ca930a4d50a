"""The project's own checkpoint."""

import torch
from safetensors.torch import load

from core.export.checking import correct, largest_difference
from core.export.formats.made import Made
from core.export.subject import BATCH, Subject
from core.networks.checkpoint import assemble, file_content


def make(subject: Subject, name: str) -> Made:
    """Write a checkpoint; it is read back, and what half precision changes is said."""
    network = subject.network
    content = file_content(network, subject.dataset, subject.metadata)
    read = assemble(network.signature, load(content)).module
    batches = torch.split(subject.images, BATCH)
    with torch.inference_mode():
        logits = torch.cat([read(network.inputs(each)) for each in batches])
    difference = largest_difference(logits, subject.logits)
    check = f"read back: weights in half precision, logits within {difference:.1g} of the network's"
    if subject.labels is not None:
        right, before = (correct(each, subject.labels) for each in (logits, subject.logits))
        check += f", right about {right} of {len(logits)} test images (before: {before})"
    return Made({f"{name}.safetensors": content}, f"{check}.")
