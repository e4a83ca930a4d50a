"""Small random networks for tests, and what the tests do with them."""

import torch
from torch import Tensor, nn

from core.networks.groups import NetworkGraph
from core.networks.layers import prunable_layers
from core.networks.resnet import ResNet18, Widths, initialise


def random_resnet(widths: Widths | None = None, seed: int = 0) -> ResNet18:
    """In eval mode, 8 channels wide unless told."""
    model = ResNet18(widths or Widths.regular(8))
    randomise(model, seed)
    return model


def new_resnet(width: int = 4) -> ResNet18:
    """As training starts from, with seed 0."""
    model = ResNet18(Widths.regular(width))
    initialise(model, seed=0)
    return model


def random_vgg(seed: int = 0) -> nn.Sequential:
    """For 8x8 images; its last feature map of 7 channels enters the classifier as 2x2."""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 7, 3, padding=1),
        nn.BatchNorm2d(7),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(7 * 2 * 2, 9),
        nn.ReLU(),
        nn.Linear(9, 10),
    )
    randomise(model, seed)
    return model


class Bottleneck(nn.Module):
    """1x1, depthwise 3x3, 1x1 beside a projected or an identical shortcut."""

    def __init__(self, in_channels: int, inner: int, out_channels: int):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(in_channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.add(self.inner(x), self.shortcut(x)))


def random_bottleneck_resnet(seed: int = 0) -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        Bottleneck(6, 5, 6),
        Bottleneck(6, 7, 8),
        Bottleneck(8, 6, 8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    randomise(model, seed)
    return model


def randomise(model: nn.Module, seed: int) -> None:
    """Draw all that a network can learn, batch-norm's statistics too: no 0 and 1 is left there."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.5, generator=generator)
            elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.weight.normal_(0, 1, generator=generator)
                module.bias.normal_(0, 0.5, generator=generator)
                module.running_mean.normal_(0, 0.5, generator=generator)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
    model.eval()


def make_magnitudes_distinct(model: nn.Module, seed: int = 0) -> None:
    """Give the prunable weights the magnitudes 1 to N over N in random order, signs random."""
    layers = prunable_layers(model).values()
    total = sum(layer.weight.numel() for layer in layers)
    generator = torch.Generator().manual_seed(seed)
    magnitudes = (torch.randperm(total, generator=generator) + 1) / total
    signs = torch.randint(2, (total,), generator=generator) * 2 - 1
    parts = torch.split(magnitudes * signs, [layer.weight.numel() for layer in layers])
    with torch.no_grad():
        for layer, part in zip(layers, parts, strict=True):
            layer.weight.copy_(part.view_as(layer.weight))


def silence(model: nn.Module, graph: NetworkGraph, kept: dict[str, Tensor]) -> None:
    """Make all channels but the kept ones zero, in place: the right way of masking.

    Their batch-norm's scale and shift become zero; where a group has no batch-norm, its producers'
    weights and biases do.
    """
    modules = dict(model.named_modules())
    with torch.no_grad():
        for group in graph.groups:
            if group.name not in kept:
                continue
            gone = torch.ones(group.size, dtype=torch.bool)
            gone[kept[group.name]] = False
            for name in group.batch_norms or group.producers:
                modules[name].get_parameter("weight")[gone] = 0
                modules[name].get_parameter("bias")[gone] = 0


def images(size: int = 8, number: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(seed))


def copy_of_state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_state(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether both have the same tensors, bit for bit."""
    return first.keys() == second.keys() and all(
        tensor.shape == second[name].shape
        and tensor.dtype == second[name].dtype
        and torch.equal(tensor, second[name])
        for name, tensor in first.items()
    )
