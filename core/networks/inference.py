"""Copies of a network for inference."""

import torch
from torch import nn

from core.device import DTYPES
from core.networks.batch_norm import fold_batch_norms
from core.networks.network import Network


def for_inference(network: Network, device: torch.device, precision: str) -> nn.Module:
    """Return a copy of the module for inference only, in `precision` ("fp32" or "bf16").

    Batch-norms are folded into their convolutions, in fp32. The copy is in channels_last order if
    the forward supports it.
    """
    folded = fold_batch_norms(network).to(device, DTYPES[precision])
    return folded.to(memory_format=network.memory_format)
