"""The accuracy that a baseline's file records."""

import copy
from typing import Any

import torch

from core.data.dataset import DataSet
from core.device import resolve_precision
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.network import Network


def accuracy_as_stored(network: Network, dataset: DataSet, device: torch.device) -> dict[str, Any]:
    """Evaluate the network on the whole test set, with its weights rounded as in the file."""
    as_stored = copy.deepcopy(network.module)
    as_stored.load_state_dict(checkpoint.stored_tensors(network.module))
    precision = resolve_precision("auto", device)
    result = evaluate_fully(
        network.with_module(as_stored),
        dataset.test_images,
        dataset.test_labels,
        precision,
        device,
    )
    return {
        "correct": result.correct,
        "seen": result.seen,
        "precision": precision,
        "device": device.type,
    }
