"""MobileNetV2: torchvision's, with less pooling for images of 32x32 pixels.

Sandler et al.: "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018. The stem and the
second stage keep the resolution, as usual on CIFAR.
"""

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.segments import Segment, chain, children_of, flatten
from core.networks.signature import Signature
from core.networks.source import Source

if TYPE_CHECKING:
    from torchvision.models import MobileNetV2

STAGES = (
    # expansion, channels, blocks, stride
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
)


def mobilenet_v2(signature: Signature) -> "MobileNetV2":
    """Build a MobileNetV2: normalised images (N, 3, H, W) to logits (N, classes)."""
    from torchvision.models import MobileNetV2

    network = MobileNetV2(signature.classes, inverted_residual_setting=list(STAGES))
    stem = network.features[0][0]
    network.features[0][0] = nn.Conv2d(3, stem.out_channels, 3, padding=1, bias=False)
    return network


def source(signature: Signature) -> Source:
    """Write the code of a MobileNetV2."""
    return Source(
        ("from torchvision.models import MobileNetV2",),
        (
            "stages = [  # expansion, channels, blocks, stride",
            *(f"    {stage}," for stage in STAGES),
            "]",
            f"network = MobileNetV2({signature.classes}, inverted_residual_setting=stages)",
            "network.features[0][0] = nn.Conv2d(3, 32, 3, padding=1, bias=False)",
        ),
    )


def segments(network: nn.Module) -> tuple[Segment, ...]:
    """Return the consecutive parts of a MobileNetV2: the stem, each block, the head."""
    return chain(network, *children_of(network, "features"), (_pool, flatten, "classifier"))


def _pool(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1)
