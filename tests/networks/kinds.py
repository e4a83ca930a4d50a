"""Small networks of many kinds, for 8x8 images unless told: each does one unusual thing."""

import types
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops.misc import FrozenBatchNorm2d


class Network(nn.Module):
    """`front` makes 8 channels of an image, `middle` does something, `head` classifies."""

    def __init__(self, middle: nn.Module, channels: int = 8, head: nn.Module | None = None):
        super().__init__()
        self.front = nn.Conv2d(3, 8, 3, padding=1)
        self.middle = middle
        self.head = head or nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.middle(F.relu(self.front(x))))
        return result


class Function(nn.Module):
    """A module that calls a function of the tensor and of layers of its own."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, **dict(self.named_children()))


def conv(inputs: int = 8, outputs: int = 8, size: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int = 8):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.up(F.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class LinearSqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(8, 4), nn.Linear(4, 8)

    def forward(self, x: Tensor) -> Tensor:
        images, channels, _, _ = x.size()
        gate: Tensor = self.up(
            F.relu(self.down(F.adaptive_avg_pool2d(x, 1).view(images, channels)))
        )
        return x * gate.sigmoid().view(images, channels, 1, 1).expand_as(x)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.bottom = nn.Conv2d(12, 12, 3, padding=1)
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.last = nn.Conv2d(14, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        up = self.up(F.relu(self.bottom(F.relu(self.down(x)))))
        result: Tensor = self.last(torch.cat([x, up], 1))
        return result


class ShuffledGroups(nn.Module):
    """Grouped convolutions with ShuffleNet's channel shuffle between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv(8, 12, groups=2), conv(12, 8, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        images, channels, height, width = x.shape
        x = x.view(images, 2, channels // 2, height, width).transpose(1, 2)
        result: Tensor = self.second(x.reshape(images, channels, height, width))
        return result


class HalvesByChunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.left = conv(8, 12), conv(6, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.wide(x).chunk(2, 1)
        return torch.cat([self.left(left), right], 1)


class HalvesBySlices(HalvesByChunk):
    def forward(self, x: Tensor) -> Tensor:
        x = self.wide(x)
        half = x.shape[1] // 2
        return torch.cat([self.left(x[:, :half]), x[:, half:]], 1)


class HalvesBySizes(HalvesByChunk):
    """The boundary is written into the forward."""

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.wide(x).split([6, 6], 1)
        return torch.cat([self.left(left), right], 1)


class UnevenSizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.left = conv(8, 12), conv(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = torch.split(self.wide(x), [4, 8], 1)
        return torch.cat([self.left(left), right], 1)


class PaddedShortcut(nn.Module):
    """Option A of He et al.: a shortcut without weights, padded with channels of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 6, 3, 2, 1), conv(6, 16, 3)
        self.norm = nn.BatchNorm2d(16)

    def forward(self, x: Tensor) -> Tensor:
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        return F.relu(self.norm(self.second(F.relu(self.first(x)))) + short)


class ZerosFilledInParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv(8, 4), conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        filled = x.new_zeros(x.shape[0], first.shape[1] * 2, *x.shape[2:])
        filled[:, : first.shape[1]] = first
        filled[:, first.shape[1] :] = self.second(x)
        return filled


class SpatialAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.next = conv(8, 1), conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.next(x * torch.sigmoid(self.gate(x)))
        return result


class ChannelAttention(nn.Module):
    """A convolution over the channels, as if they were positions."""

    def __init__(self) -> None:
        super().__init__()
        self.over_channels = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(1, 2)
        gate: Tensor = self.over_channels(pooled)
        return x * gate.transpose(1, 2).unsqueeze(-1).sigmoid()


class LayerScale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))
        self.body = conv(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + self.scale[:, None, None] * y


class SharedLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(conv(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(self.layer(x))
        return result


class SharedParameter(nn.Module):
    """Two layers with one Parameter, which see different channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.between, self.second = conv(8, 6), conv(6, 8), conv(8, 6)
        self.second.weight = self.first.weight
        self.last = conv(6, 8)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(F.relu(self.second(F.relu(self.between(self.first(x))))))
        return result


class ReadInForward(nn.Module):
    """Its forward takes the weight of a layer itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = conv(8, 8, 3), conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.layer(x))
        result: Tensor = self.last(F.conv2d(x, self.layer.weight, self.layer.bias, padding=1))
        return result


class TiedAutoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.last = nn.Linear(8, 6), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        code = F.relu(self.encode(x.mean((2, 3))))
        result: Tensor = self.last(F.linear(code, self.encode.weight.t()))
        return result


class StandardisedConv(nn.Conv2d):
    """Its forward computes the weight that it uses."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(input, weight, self.bias, self.stride, self.padding)


class OwnConv(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, (1, 1, 1, 1), mode="reflect"))


class OwnBatchNorm(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.relu(super().forward(input))


class ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = conv(8, 6, 3), nn.BatchNorm2d(6)
        self.last = conv(6, 8)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(input=self.norm(input=self.layer(input=x)))
        return result


class ByShape(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = conv(8, 8), conv(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.large(x) if x.shape[-1] > 4 else self.small(x)
        return result


class OptionalArgument(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.other, self.last = conv(8, 6), conv(8, 6), conv(6, 8)

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        y = self.layer(x)
        if extra is not None:
            y = y + self.other(extra)
        result: Tensor = self.last(y)
        return result


class Volumes(nn.Module):
    """Conv3d over what Conv1d sees as a line."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.volume = nn.Conv1d(8, 6, 3, padding=1), nn.Conv3d(6, 8, 3, padding=1)
        self.norm = nn.BatchNorm3d(8)

    def forward(self, x: Tensor) -> Tensor:
        line = F.relu(self.line(x.flatten(2)))
        result: Tensor = self.norm(self.volume(line.view(*line.shape[:2], 4, 4, 4))).flatten(3)
        return result


def replaced_forward() -> nn.Module:
    """A forward of its own on the instance."""
    module = Network(conv(8, 6), 6)

    def forward(self: Network, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.middle(torch.tanh(self.front(x))))
        return result

    module.forward = types.MethodType(forward, module)  # type: ignore[method-assign]
    return module


def frozen_norm() -> nn.Module:
    return nn.Sequential(conv(8, 6, 3), FrozenBatchNorm2d(6), conv(6, 8))


def flat(view: Callable[[Tensor], Tensor]) -> nn.Module:
    """A head that flattens the last map in its own way."""
    return nn.Sequential(Function(view), nn.Linear(8 * 8 * 8, 5))


def pooled(view: Callable[[Tensor], Tensor]) -> nn.Module:
    return nn.Sequential(Function(view), nn.Linear(8, 5))


# What each network is: the module, and the output channels of each layer at a ratio of 0.5; in the
# order of registration.
KINDS: dict[str, tuple[Callable[[], nn.Module], list[int]]] = {
    "squeeze-excite": (lambda: Network(SqueezeExcite()), [4, 2, 4, 5]),
    "squeeze-excite by linear layers": (lambda: Network(LinearSqueezeExcite()), [4, 2, 4, 5]),
    "concatenation with itself": (
        lambda: Network(Function(lambda x: torch.cat([x, x], 1)), 16), [4, 5]),
    "concatenation of two": (
        lambda: Network(Function(lambda x, a, b: torch.cat([a(x), b(x)], 1), a=conv(8, 6),
                                 b=conv(8, 4)), 10), [4, 3, 2, 5]),
    "grouped convolution": (lambda: Network(conv(8, 12, 3, groups=2), 12), [4, 6, 5]),
    "depthwise convolution": (
        lambda: Network(nn.Sequential(conv(8, 8, 3, groups=8), conv(8, 8))), [4, 4, 4, 5]),
    "two filters a channel": (lambda: Network(conv(8, 16, 3, groups=8), 16), [4, 8, 5]),
    "transposed convolution": (
        lambda: Network(nn.ConvTranspose2d(8, 6, 2, stride=2), 6), [4, 3, 5]),
    "grouped transposed convolution": (
        lambda: Network(nn.ConvTranspose2d(8, 12, 2, groups=2), 12), [4, 3, 5]),
    "depthwise transposed convolution": (
        lambda: Network(nn.ConvTranspose2d(8, 8, 2, groups=8)), [4, 1, 5]),
    "U-Net": (lambda: Network(UNet()), [4, 6, 6, 3, 4, 5]),
    "PReLU": (lambda: Network(nn.Sequential(conv(), nn.PReLU(8))), [4, 4, 5]),
    "PReLU of one number": (lambda: Network(nn.Sequential(conv(), nn.PReLU())), [4, 4, 5]),
    "group-norm": (lambda: Network(nn.GroupNorm(4, 8)), [4, 5]),
    "group-norm without scale": (
        lambda: Network(nn.GroupNorm(4, 8, affine=False)), [8, 5]),
    "one group of all channels": (lambda: Network(nn.GroupNorm(1, 8)), [8, 5]),
    "local response norm": (lambda: Network(nn.LocalResponseNorm(3)), [8, 5]),
    "efficient channel attention": (lambda: Network(ChannelAttention()), [8, 1, 5]),
    "no layer at all": (lambda: nn.Flatten(), []),
    "instance-norm": (lambda: Network(nn.InstanceNorm2d(8, affine=True)), [4, 5]),
    "layer-norm": (lambda: Network(nn.LayerNorm((8, 8, 8))), [8, 5]),
    "layer scale": (lambda: Network(LayerScale()), [4, 4, 5]),
    "channel shuffle": (lambda: Network(ShuffledGroups()), [4, 4, 4, 5]),
    "torch's channel shuffle": (
        lambda: Network(nn.Sequential(conv(8, 8, groups=2), nn.ChannelShuffle(2), conv())),
        [4, 4, 4, 5]),
    "pixel shuffle": (
        lambda: Network(nn.Sequential(conv(8, 16), nn.PixelShuffle(2), conv(4, 8))), [4, 8, 4, 5]),
    "pixel unshuffle": (
        lambda: Network(nn.Sequential(nn.PixelUnshuffle(2), conv(32, 8))), [4, 4, 5]),
    "halves by chunk": (lambda: Network(HalvesByChunk(), 12), [4, 6, 3, 5]),
    "halves by slices": (lambda: Network(HalvesBySlices(), 12), [4, 6, 3, 5]),
    "halves of written sizes": (lambda: Network(HalvesBySizes(), 12), [4, 12, 3, 5]),
    "parts of written sizes": (lambda: Network(UnevenSizes(), 12), [4, 12, 2, 5]),
    "gated linear unit": (
        lambda: Network(nn.Sequential(conv(8, 12), nn.GLU(1), conv(6, 8))), [4, 6, 4, 5]),
    "zero-padded shortcut": (lambda: Network(PaddedShortcut(), 16), [4, 3, 12, 5]),
    "zeros filled in parts": (lambda: Network(ZerosFilledInParts(), 8), [4, 2, 2, 5]),
    "attention over positions": (lambda: Network(SpatialAttention()), [4, 1, 4, 5]),
    "one channel": (lambda: Network(nn.Sequential(conv(8, 1), conv(1, 8))), [4, 1, 4, 5]),
    "a shared layer": (lambda: Network(SharedLayer()), [4, 4, 5]),
    "a shared parameter": (lambda: Network(SharedParameter()), [4, 3, 4, 3, 4, 5]),
    "a weight read in forward": (lambda: Network(ReadInForward()), [4, 4, 4, 5]),
    "a subclass of Conv2d": (lambda: Network(OwnConv(8, 8, 3)), [4, 4, 5]),
    "a subclass of BatchNorm2d": (
        lambda: Network(nn.Sequential(conv(), OwnBatchNorm(8))), [4, 4, 5]),
    "SyncBatchNorm": (lambda: Network(nn.Sequential(conv(), nn.SyncBatchNorm(8))), [4, 4, 5]),
    "frozen batch-norm": (lambda: Network(frozen_norm()), [4, 3, 4, 5]),
    "batch-norm without running statistics": (
        lambda: Network(nn.Sequential(conv(), nn.BatchNorm2d(8, track_running_stats=False))),
        [4, 4, 5]),
    "batch-norm without scale": (
        lambda: Network(nn.Sequential(conv(), nn.BatchNorm2d(8, affine=False))), [4, 4, 5]),
    "batch-norm of positions": (
        lambda: Network(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(512)),
                        head=nn.Linear(512, 5)), [4, 5]),
    "arguments by keyword": (lambda: Network(ByKeyword()), [4, 3, 4, 5]),
    "control flow on shapes": (lambda: Network(ByShape()), [4, 8, 4, 5]),
    "an optional argument": (lambda: Network(OptionalArgument()), [4, 3, 6, 4, 5]),
    "a forward on the instance": (replaced_forward, [4, 3, 5]),
    "Conv1d and Conv3d": (lambda: Network(Volumes()), [4, 3, 4, 5]),
    "view(x.size(0), -1)": (
        lambda: Network(nn.Identity(), head=flat(lambda x: x.view(x.size(0), -1))), [4, 5]),
    "reshape": (
        lambda: Network(nn.Identity(), head=flat(lambda x: x.reshape(len(x), -1))), [4, 5]),
    "a written view": (
        lambda: Network(nn.Identity(), head=flat(lambda x: x.reshape(-1, 512))), [8, 5]),
    "mean": (lambda: Network(nn.Identity(), head=pooled(lambda x: x.mean((2, 3)))), [4, 5]),
    "means one after the other": (
        lambda: Network(nn.Identity(), head=pooled(lambda x: x.mean(3).mean(2))), [4, 5]),
    "squeezed": (
        lambda: Network(nn.Identity(),
                        head=pooled(lambda x: F.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2))),
        [4, 5]),
    "largest and mean": (
        lambda: Network(nn.Identity(),
                        head=pooled(lambda x: x.amax((2, 3)) + x.mean((2, 3)))), [4, 5]),
    "softmax over channels": (lambda: Network(nn.Softmax2d()), [8, 5]),
    "softmax over positions": (lambda: Network(nn.Softmax(-1)), [4, 5]),
    "a product of activations": (
        lambda: Network(Function(lambda x: torch.einsum("bchw,bdhw->bchw", x, x))), [8, 5]),
    "a sum over channels": (
        lambda: Network(Function(lambda x: x / (1 + x.sum(1, keepdim=True)))), [8, 5]),
    "sorted channels": (lambda: Network(Function(lambda x: x.sort(1)[0])), [8, 5]),
    "an unknown operation": (lambda: Network(Function(lambda x: torch.fft.fft(x).real)), [8, 5]),
    "upsampling": (
        lambda: Network(nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), conv())),
        [4, 4, 5]),
    "a constant": (lambda: Network(Function(lambda x: 2 * x + 1)), [4, 5]),
    "divided by the number of channels": (
        lambda: Network(Function(lambda x: x / x.shape[1])), [8, 5]),
    "a gate of itself": (lambda: Network(Function(lambda x: x * torch.sigmoid(x))), [4, 5]),
    "masked": (lambda: Network(Function(lambda x: x.masked_fill(x > 1, 1.0))), [4, 5]),
    "where": (lambda: Network(Function(lambda x: torch.where(x > 1, x, x * 0.5))), [4, 5]),
    "turned round": (lambda: Network(Function(lambda x: x.flip(1))), [4, 5]),
    "rolled": (lambda: Network(Function(lambda x: x.roll(1, 2))), [4, 5]),
    "stacked": (lambda: Network(Function(lambda x: torch.stack([x, x * 2]).sum(0))), [4, 5]),
    "one of two stacked": (lambda: Network(Function(lambda x: torch.stack([x, -x], 1)[:, 1])),
                           [4, 5]),
    "channels last by permuting": (
        lambda: Network(Function(lambda x, f: f(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
                                 f=nn.Linear(8, 6)), 6), [4, 3, 5]),
    "a computed weight": (lambda: Network(nn.Sequential(StandardisedConv(8, 6, 1), conv(6, 8))),
                          [8, 6, 4, 5]),
    "a tied autoencoder": (
        lambda: Network(nn.Identity(), head=TiedAutoencoder()), [8, 6, 5]),
}  # fmt: skip
