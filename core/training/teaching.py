"""Knowledge distillation: targets from trained networks (teachers) instead of labels.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015. Teachers get the same
augmented images as the student: Beyer et al., "Knowledge Distillation: A Good Teacher is Patient
and Consistent", 2022.
"""

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.device import DTYPES, resolve_precision
from core.networks.inference import for_inference
from core.networks.network import Network
from core.training.arranged import arranged_for


class Teachers:
    """Copies of one or more trained networks, which predict the targets.

    With `mirror`, predictions are averaged over each image and its mirror image.
    """

    def __init__(self, networks: Sequence[Network], device: torch.device, mirror: bool = False):
        self._mirror = mirror
        precision = resolve_precision("auto", device)
        self._dtype = DTYPES[precision]
        self._networks = [(each, for_inference(each, device, precision)) for each in networks]

    def targets(self, inputs: Tensor) -> Tensor:
        """Return the mean probabilities, float32 (N, classes), for normalised (N, 3, H, W)."""
        images = inputs.to(self._dtype)
        views = [images, images.flip(3)] if self._mirror else [images]
        each = [self._answer(*network, view) for network, view in product(self._networks, views)]
        return torch.stack(each).mean(0)

    @staticmethod
    def _answer(network: Network, module: nn.Module, images: Tensor) -> Tensor:
        arranged = images.contiguous(memory_format=network.memory_format)
        with torch.no_grad(), arranged_for(network, module):
            return F.softmax(module(arranged).float(), dim=1)
