"""The mean of the weights that training passes through, which often lies better than the last ones.

Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018.
"""

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from core.networks.batch_norm import finished, recalibrate
from core.networks.network import Network

STATISTICS_IMAGES = 2000
"""Images that the statistics of an average are estimated from."""


class WeightAverage:
    """The equal-weighted mean of a network's parameters after every `update`."""

    def __init__(self, network: Network):
        self._network = network
        self._mean = AveragedModel(network.module)

    @property
    def is_empty(self) -> bool:
        return int(self._mean.n_averaged) == 0

    def update(self) -> None:
        """Take in the weights that the network has now."""
        self._mean.update_parameters(self._network.module)

    def network(self, images: Tensor, device: torch.device) -> Network:
        """The averaged network, with batch-norm statistics of its own, in eval mode.

        Averaged weights never saw a batch, so their statistics are estimated from the first of the
        training images, uint8 (N, 3, H, W), which come in no order.
        """
        sample = images[:STATISTICS_IMAGES]
        return finished(
            recalibrate(self._network.with_module(self._mean.module), sample, device=device)
        )

    def state(self) -> dict[str, Tensor]:
        return self._mean.state_dict()

    def restore(self, state: dict[str, Tensor]) -> None:
        self._mean.load_state_dict(state)
