"""Weight averaging over training steps, which often generalises better than the last weights.

Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018.
"""

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from core.networks.batch_norm import finished, recalibrate
from core.networks.network import Network

STATISTICS_IMAGES = 2000
"""Number of images for estimating the batch-norm statistics of averaged weights."""


class WeightAverage:
    """The equal-weighted mean of a network's parameters after every `update`."""

    def __init__(self, network: Network):
        self._network = network
        self._mean = AveragedModel(network.module)

    @property
    def is_empty(self) -> bool:
        return int(self._mean.n_averaged) == 0

    def update(self) -> None:
        """Add the network's current weights to the mean."""
        self._mean.update_parameters(self._network.module)

    def network(self, images: Tensor, device: torch.device) -> Network:
        """Return the averaged network with its own batch-norm statistics, in eval mode.

        Averaged weights have never processed a batch, so the statistics are estimated from the
        first STATISTICS_IMAGES of `images`, uint8 (N, 3, H, W), which must be in random order.
        """
        sample = images[:STATISTICS_IMAGES]
        return finished(
            recalibrate(self._network.with_module(self._mean.module), sample, device=device)
        )

    def state(self) -> dict[str, Tensor]:
        return self._mean.state_dict()

    def restore(self, state: dict[str, Tensor]) -> None:
        self._mean.load_state_dict(state)
