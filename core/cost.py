"""What a network costs: parameters, arithmetic, bytes."""

import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import conv_flop_count, mm_flop

from core.checkpoint import to_bytes
from core.model import ResNet18, Widths, on_meta, prunable_layers

COMPRESSION_LEVEL = 6  # zlib's and gzip's default


@dataclass(frozen=True)
class Cost:
    parameters: int  # that are there, zero or not
    nonzero: int  # of them
    macs: int  # multiply-accumulates executed for one image
    macs_nonzero: float  # theoretical: what a kernel that skips every zero weight would execute
    bytes: int  # of the file, weights fp16

    def to_json(self) -> dict[str, int | float]:
        return asdict(self)


def cost(model: ResNet18) -> Cost:
    """Count a network; compressed bytes are apart, since compressing takes longer than all else."""
    layer_macs = macs_per_layer(model.widths, model.fc.out_features)
    densities = {
        name: int(layer.weight.count_nonzero()) / layer.weight.numel()
        for name, layer in prunable_layers(model).items()
    }
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        nonzero=sum(int(parameter.count_nonzero()) for parameter in model.parameters()),
        macs=sum(layer_macs.values()),
        macs_nonzero=sum(macs * densities[name] for name, macs in layer_macs.items()),
        bytes=file_bytes(model.widths, model.fc.out_features),
    )


@lru_cache(maxsize=1024)
def macs_per_layer(widths: Widths, classes: int = 10) -> dict[str, int]:
    """Multiply-accumulates for one 32x32 image by layer, from torch's flop counter.

    Convolutions and the classifier count; what batch-norm and additions take is below 1 %. The
    counter's formulas are applied to shapes seen by hooks of this very network: FlopCounterMode
    itself hooks into all modules of the process, evaluations in other threads included.
    """
    model = on_meta(widths, classes).eval()
    macs: dict[str, int] = {}

    def count_as(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            weight = layer.get_parameter("weight")
            if weight.ndim == 4:
                flops = conv_flop_count(
                    list(inputs[0].shape), list(weight.shape), list(output.shape)
                )
            else:
                flops = mm_flop(inputs[0].shape, weight.T.shape)
            macs[name] = flops // 2  # two floating-point operations a MAC

        return count

    for name, layer in prunable_layers(model).items():
        layer.register_forward_hook(count_as(name))
    with torch.inference_mode():
        model(torch.empty(1, 3, 32, 32, device="meta"))
    return {name: macs[name] for name in prunable_layers(model)}


@lru_cache(maxsize=1024)
def file_bytes(widths: Widths, classes: int = 10) -> int:
    """The size of the checkpoint's tensors on disk, without its metadata."""
    return len(to_bytes(on_meta(widths, classes).to_empty(device="cpu")))


def compressed_bytes(model: nn.Module) -> int:
    """The size of the same after zlib: what zeros can save on disk, and only there."""
    return len(zlib.compress(to_bytes(model), COMPRESSION_LEVEL))
