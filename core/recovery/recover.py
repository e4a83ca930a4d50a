"""Recovery: regain some accuracy after pruning."""

from collections.abc import Generator

import torch
from torch import Tensor

from core.data.dataset import DataSet, subset_indices
from core.networks.batch_norm import Recovering, finished, recalibrate
from core.networks.network import Network
from core.specs.recovery import Recovery
from core.specs.vocabulary import NO_RECOVERY


def recover(
    network: Network,
    recovery: Recovery,
    dataset: DataSet,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Generator[Recovering, None, Network]:
    """Yield progress and return the recovered network; for `none`, the network itself."""
    if recovery.method == NO_RECOVERY:
        return network
    images = calibration_images(dataset, recovery)
    return (yield from recalibrate(network, images, precision, device))


def recover_fully(
    network: Network,
    recovery: Recovery,
    dataset: DataSet,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Network:
    """Run `recover` to its end and return the recovered network."""
    return finished(recover(network, recovery, dataset, precision, device))


def calibration_images(dataset: DataSet, recovery: Recovery) -> Tensor:
    """Draw the training images for the statistics, uint8 (images, 3, H, W).

    Use all training images if the data set has fewer than the recovery asks for.
    """
    size = min(recovery.images, len(dataset.train_labels))
    return dataset.train_images[subset_indices(dataset.train_labels, size, recovery.seed)]
