"""What a baseline's file records of its images and its accuracy on them."""

import copy
from typing import Any

import torch

from core.data.dataset import DataSet
from core.device import resolve_precision
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.network import Network
from core.specs.vocabulary import is_folder


def recorded(network: Network, dataset: DataSet, device: torch.device) -> dict[str, Any]:
    """Return the metadata on the images, with class names where only their folder knows them."""
    own = {"class_names": list(dataset.class_names)} if is_folder(dataset.name) else {}
    return {
        "data": {"source": dataset.name, "fingerprint": dataset.fingerprint},
        **own,
        "accuracy": _accuracy_as_stored(network, dataset, device),
    }


def _accuracy_as_stored(network: Network, dataset: DataSet, device: torch.device) -> dict[str, Any]:
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
