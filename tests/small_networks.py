"""Small random networks for tests, and what the tests do with them."""

import copy
import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torchvision.models.resnet import ResNet

from core.data.dataset import DataSet
from core.data.normalisation import CIFAR10
from core.evidence import Evidence, InputSaliency, Saliency, readers
from core.networks.flow import follow
from core.networks.fresh import Plan
from core.networks.groups import Structure
from core.networks.layers import input_dim, prunable_layers
from core.networks.network import Network
from core.networks.registry import build_on_meta
from core.networks.signature import Signature
from core.networks.sizes import take_shapes
from core.pruning import Pruned, Pruner
from core.pruning.criteria import Facts
from core.recovery.recover import recover_fully
from core.specs.architecture import Architecture
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

EXAMPLE = (1, 3, 8, 8)  # an image that all of these networks take


@dataclass(frozen=True)
class Widths:
    """The channels of every convolution of a ResNet-18."""

    streams: tuple[int, ...]  # the residual stream of each of the 4 stages
    inner: tuple[int, ...]  # the first convolution of each of the 8 blocks

    @classmethod
    def regular(cls, base: int) -> "Widths":
        streams = tuple(base * 2**stage for stage in range(4))
        return cls(streams, tuple(width for width in streams for _ in range(2)))


def resnet_shapes(widths: Widths, classes: int = 10) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of a ResNet-18 of these widths, by hand."""
    stem = widths.streams[0]
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (stem, 3, 3, 3), **norm("bn1", stem)}
    before = stem
    for number, inner in enumerate(widths.inner):
        stage, block = divmod(number, 2)
        name, after = f"layer{stage + 1}.{block}", widths.streams[stage]
        shapes[f"{name}.conv1.weight"] = (inner, before, 3, 3)
        shapes[f"{name}.conv2.weight"] = (after, inner, 3, 3)
        shapes |= norm(f"{name}.bn1", inner) | norm(f"{name}.bn2", after)
        if stage and not block:
            shapes[f"{name}.downsample.0.weight"] = (after, before, 1, 1)
            shapes |= norm(f"{name}.downsample.1", after)
        before = after
    return shapes | {"fc.weight": (classes, before), "fc.bias": (classes,)}


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    """The vectors of a batch-norm layer."""
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{vector}": (channels,) for vector in vectors}


def resnet(widths: Widths, classes: int = 10) -> ResNet:
    """A ResNet-18 whose weights are not set, in eval mode."""
    module = build_on_meta(Signature(Architecture("resnet18"), classes, 32, CIFAR10))
    shapes = resnet_shapes(widths, classes)
    take_shapes(module, {name: torch.Size(shape) for name, shape in shapes.items()})
    module.to_empty(device="cpu").eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    assert isinstance(module, ResNet)
    return module


def widths_of(module: nn.Module) -> Widths:
    """The widths that a ResNet-18 has."""
    layers = prunable_layers(module)
    blocks = [f"layer{stage}.{number}" for stage in (1, 2, 3, 4) for number in (0, 1)]
    return Widths(
        streams=tuple(len(layers[f"layer{stage}.1.conv2"].weight) for stage in (1, 2, 3, 4)),
        inner=tuple(len(layers[f"{block}.conv1"].weight) for block in blocks),
    )


def wrap(module: nn.Module, image_size: int = 8) -> Network:
    """The bundle of any module, which classifies CIFAR-10's images or smaller ones."""
    return Network.of(module, Signature(Architecture("resnet18"), 10, image_size, CIFAR10))


def followed(module: nn.Module) -> Network:
    """The bundle of a module of any kind that takes EXAMPLE."""
    return with_structure(module, follow(module, EXAMPLE))


def pruned_by(module: nn.Module, spec: PruningSpec) -> nn.Module:
    """The pruned copy of a module that takes EXAMPLE."""
    return pruner_of(followed(module)).prune(spec).network.module


def pruner_of(network: Network) -> Pruner:
    """A pruner that makes up what criteria know of training images."""
    return Pruner(network, lambda: random_saliency(network))


def facts_of(network: Network, seed: int = 0) -> Facts:
    """What criteria look at, with made-up numbers from training images."""
    return Facts(network, torch.Generator().manual_seed(seed), random_saliency(network))


def random_saliency(network: Network) -> Saliency:
    generator = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator) + 0.1

    inputs = {}
    for name, layer in readers(network).items():
        size, *kernel = layer.weight.movedim(input_dim(layer), 0)[:, 0].shape
        inputs[name] = InputSaliency(numbers(size), numbers(size, math.prod(kernel)), numbers(size))
    return Saliency(
        "made-up", inputs, {group.name: numbers(group.size) for group in network.groups}
    )


def with_structure(module: nn.Module, structure: Structure) -> Network:
    """The bundle of a module whose structure is known; what else it takes plays no part."""
    return Network(module, structure, Signature(Architecture("resnet18"), 10, 8, CIFAR10), True)


def random_resnet(widths: Widths | None = None, seed: int = 0) -> ResNet:
    """In eval mode, 8 channels wide unless told."""
    module = resnet(widths or Widths.regular(8))
    randomise(module, seed)
    return module


def random_network(widths: Widths | None = None, seed: int = 0, image_size: int = 32) -> Network:
    """The bundle of `random_resnet`, for images of 32x32 pixels unless told."""
    bundle = _bundle(widths or Widths.regular(8), image_size)
    return bundle.with_module(random_resnet(widths, seed))


@cache
def _bundle(widths: Widths, image_size: int) -> Network:
    """One network of these widths: whatever its weights are, the structure is the same."""
    return wrap(random_resnet(widths), image_size)


def new_network(width: int = 4) -> Network:
    """A ResNet-18 as training starts from, with seed 0."""
    built = _built(width)
    return built.with_module(copy.deepcopy(built.module))


@cache
def _built(width: int) -> Network:
    return Plan(Signature(Architecture("resnet18"), 10, 32, CIFAR10), width).build(seed=0)


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


def silence(model: nn.Module, structure: Structure, kept: dict[str, Tensor]) -> None:
    """Make all channels but the kept ones zero, in place: the right way of masking.

    Their batch-norm's scale and shift become zero; where a group has no batch-norm, its producers'
    weights and biases do.
    """
    modules = dict(model.named_modules())
    with torch.no_grad():
        for group in structure.groups:
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


def recovered(
    pruned: Pruned | Network,
    recovery: Recovery,
    dataset: DataSet,
    precision: str = "auto",
    baseline: Network | None = None,
) -> Network:
    """The recovered network; the baseline matters to reconstruction only."""
    if isinstance(pruned, Network):
        pruned = Pruned(pruned, ())
    network = baseline or pruned.network
    evidence = Evidence(network, "baseline", dataset.training, precision)
    return recover_fully(pruned, recovery, evidence)
