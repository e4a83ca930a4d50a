"""What a network costs: parameters, arithmetic, bytes."""

import zlib
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import conv_flop_count, mm_flop

from core.measuring.outcome import Cost
from core.networks.checkpoint import stored_bytes, to_bytes
from core.networks.layers import nonzero_parameters, prunable_layers
from core.networks.resnet import ResNet18, Widths, on_meta

COMPRESSION_LEVEL = 6  # zlib's and gzip's default


def cost(model: ResNet18) -> Cost:
    """Count a network; compressed bytes are apart, since compressing takes longer than all else."""
    layer_macs = macs_per_layer(model.widths, model.fc.out_features)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    nonzero = nonzero_parameters(model)
    densities = {name: nonzero[f"{name}.weight"] / sizes[f"{name}.weight"] for name in layer_macs}
    return Cost(
        parameters=sum(sizes.values()),
        nonzero=sum(nonzero.values()),
        macs=sum(layer_macs.values()),
        macs_nonzero=sum(macs * densities[name] for name, macs in layer_macs.items()),
        bytes=stored_bytes(model),
    )


@lru_cache(maxsize=1024)
def macs_per_layer(widths: Widths, classes: int = 10) -> dict[str, int]:
    """Multiply-accumulates for one 32x32 image by layer, by the formulas of torch's flop counter.

    Convolutions and the classifier count; what batch-norm and additions take is below 1 %.
    """
    macs = {}
    for name, layer in prunable_layers(on_meta(widths, classes)).items():
        shape = list(layer.weight.shape)
        if isinstance(layer, nn.Conv2d):
            before, after = _image_sizes()[name]
            flops = conv_flop_count([1, shape[1], *before], shape, [1, shape[0], *after])
        else:
            flops = mm_flop([1, shape[1]], [shape[1], shape[0]])
        macs[name] = flops // 2  # two floating-point operations a MAC
    return macs


@lru_cache(maxsize=1)
def _image_sizes() -> dict[str, tuple[torch.Size, torch.Size]]:
    """Height and width before and after each convolution; they do not depend on the widths.

    Seen by hooks of a network of one channel. FlopCounterMode would hook into all modules of the
    process instead, evaluations in other threads included.
    """
    model = ResNet18(Widths.regular(1)).eval()
    sizes = {}

    def note_as(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            sizes[name] = (inputs[0].shape[2:], output.shape[2:])

        return note

    for name, layer in prunable_layers(model).items():
        layer.register_forward_hook(note_as(name))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 32, 32))
    return sizes


def compressed_bytes(model: nn.Module) -> int:
    """The size of the file after zlib: what zeros can save on disk, and only there."""
    return len(zlib.compress(to_bytes(model), COMPRESSION_LEVEL))
