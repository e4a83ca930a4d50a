"""ResNet-18 for 32x32 images, built from explicit channel widths.

He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", 2015, in the form that is usual
for CIFAR: a 3x3 stem and no max-pooling. Layer names are torchvision's.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import InputError

STAGES = 4
BLOCKS_PER_STAGE = 2
WIDEST_BASE = 256


@dataclass(frozen=True)
class Widths:
    """The channels of every convolution of a ResNet-18: its architecture, as data."""

    streams: tuple[int, ...]  # the residual stream of each of the 4 stages
    inner: tuple[int, ...]  # the first convolution of each of the 8 blocks

    def __post_init__(self) -> None:
        for name, expected in (("streams", STAGES), ("inner", STAGES * BLOCKS_PER_STAGE)):
            widths = getattr(self, name)
            if len(widths) != expected or not all(
                type(width) is int and width >= 1 for width in widths
            ):
                raise InputError(
                    f"The {name} of a ResNet-18 should be {expected} widths of at least 1, "
                    f"not {widths!r}."
                )

    @classmethod
    def regular(cls, base: int = 64) -> "Widths":
        """The network as published for `base` 64; narrower ones for smaller bases.

        Raises InputError unless 1 <= base <= 256, where a network has 180 million weights.
        """
        if type(base) is not int or not 1 <= base <= WIDEST_BASE:
            raise InputError(f"The width must be 1 to {WIDEST_BASE} channels, not {base!r}.")
        streams = tuple(base * 2**stage for stage in range(STAGES))
        return cls(streams, tuple(width for width in streams for _ in range(BLOCKS_PER_STAGE)))

    @classmethod
    def from_json(cls, value: Any) -> "Widths":
        """The reverse of `to_json`. Raises InputError for anything else."""
        if not isinstance(value, dict) or set(value) != {"streams", "inner"}:
            raise InputError(f"Widths should name streams and inner, not {value!r}.")
        if not all(isinstance(part, list) for part in value.values()):
            raise InputError(f"Widths should be lists of whole numbers, not {value!r}.")
        return cls(tuple(value["streams"]), tuple(value["inner"]))

    def to_json(self) -> dict[str, list[int]]:
        return {name: list(widths) for name, widths in asdict(self).items()}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (N, in, H, W) to (N, out, H/stride, W/stride)."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int, project: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, inner, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if project:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)), inplace=True)
        outer = self.bn2(self.conv2(inner))
        outer += self.downsample(x)
        return F.relu(outer, inplace=True)


class ResNet18(nn.Module):
    """Images (N, 3, H, W), normalised, to logits (N, classes)."""

    def __init__(self, widths: Widths | None = None, classes: int = 10):
        super().__init__()
        widths = widths or Widths.regular()
        self.conv1 = nn.Conv2d(3, widths.streams[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths.streams[0])
        in_channels = widths.streams[0]
        for stage, out_channels in enumerate(widths.streams):
            blocks = []
            for number in range(BLOCKS_PER_STAGE):
                first_of_later_stage = stage > 0 and number == 0
                blocks.append(
                    BasicBlock(
                        in_channels,
                        inner=widths.inner[stage * BLOCKS_PER_STAGE + number],
                        out_channels=out_channels,
                        stride=2 if first_of_later_stage else 1,
                        project=first_of_later_stage,
                    )
                )
                in_channels = out_channels
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(in_channels, classes)

    @property
    def stages(self) -> list[nn.Sequential]:
        return [self.get_submodule(f"layer{stage + 1}") for stage in range(STAGES)]  # type: ignore[misc]

    @property
    def widths(self) -> Widths:
        """Read from the layers, so that it holds after channels were removed too."""
        blocks = [block for stage in self.stages for block in stage]
        return Widths(
            streams=tuple(int(stage[-1].conv2.out_channels) for stage in self.stages),  # type: ignore[union-attr, arg-type]
            inner=tuple(int(block.conv1.out_channels) for block in blocks),  # type: ignore[union-attr, arg-type]
        )

    @property
    def segments(self) -> tuple[Callable[[Tensor], Tensor], ...]:
        """The network in ten steps, one after the other: the stem, the 8 blocks, the head."""
        blocks = [block for stage in self.stages for block in stage]
        return (self._stem, *blocks, self._head)

    def forward(self, x: Tensor) -> Tensor:
        for segment in self.segments:
            x = segment(x)
        return x

    def _stem(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv1(x)), inplace=True)

    def _head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def segment_of(tensor: str) -> int:
    """Which of a ResNet-18's `segments` a parameter or buffer belongs to, by its name."""
    part, *rest = tensor.split(".")
    if part.startswith("layer"):
        return 1 + (int(part.removeprefix("layer")) - 1) * BLOCKS_PER_STAGE + int(rest[0])
    return 1 + STAGES * BLOCKS_PER_STAGE if part == "fc" else 0


def on_meta(widths: Widths, classes: int = 10) -> ResNet18:
    """The network's shapes without its weights."""
    with torch.device("meta"):
        return ResNet18(widths, classes)


def initialise(model: ResNet18, seed: int) -> None:
    """Draw the weights from a seed.

    Convolutions: He et al., "Delving Deep into Rectifiers", 2015. The last batch-norm of each block
    starts at 0, so that each block starts as its shortcut (Goyal et al., "Accurate, Large Minibatch
    SGD", 2017).
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
