"""New networks for training: built at a given width, with random weights from a seed."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.architectures.small_resnet import ZeroPaddedShortcut
from core.networks.flow import follow
from core.networks.groups import Group
from core.networks.network import Network
from core.networks.registry import build, build_on_meta, entry
from core.networks.signature import Signature
from core.networks.sizes import take_shapes

WIDEST = 256


@dataclass(frozen=True)
class Plan:
    """The plan of a network to build; hashable. Raises InputError for an invalid width."""

    signature: Signature
    width: int | None = None  # channels of the first convolution; other layers scale with it

    def __post_init__(self) -> None:
        if self.width is None:
            return
        if type(self.width) is not int or not 1 <= self.width <= WIDEST:
            raise InputError(f"The width must be 1 to {WIDEST} channels, not {self.width!r}.")
        if self._full_width is None:
            raise InputError(
                f"{self.signature.architecture} has one width only: leave the width out."
            )

    @property
    def _full_width(self) -> int | None:
        return entry(self.signature.architecture).width

    @property
    def reduced_width(self) -> int | None:
        """The width, or None for the architecture's own."""
        return None if self.width == self._full_width else self.width

    def on_meta(self) -> nn.Module:
        """Build the network without weights. Raises InputError if a layer would have no channel."""
        module = build_on_meta(self.signature).eval()
        if self.reduced_width is None or self._full_width is None:
            return module
        shapes = {name: list(tensor.shape) for name, tensor in module.state_dict().items()}
        for group in _full_groups(self.signature):
            left = group.size * self.reduced_width // self._full_width
            if not left:
                raise InputError(
                    f"At a width of {self.reduced_width} channels, {group.name} would have none "
                    "left: choose a larger one."
                )
            for member in group.members:
                shapes[member.tensor][member.dim] += (left - group.size) * member.positions.shape[1]
        take_shapes(module, {name: torch.Size(shape) for name, shape in shapes.items()})
        return module

    def build(self, seed: int) -> Network:
        """Build the network with random weights from a seed, in eval mode."""
        known = entry(self.signature.architecture)
        if known.initialises_itself:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                module = build(self.signature).eval()
        else:
            module = self.on_meta().to_empty(device="cpu")
            initialise(module, seed, known.last_norm)
        return Network.of(module, self.signature)


@lru_cache(maxsize=8)
def _full_groups(signature: Signature) -> tuple[Group, ...]:
    """Find the groups that each width scales, once."""
    return follow(build_on_meta(signature).eval(), signature.example).groups


def initialise(module: nn.Module, seed: int, last_norm: str | None = None) -> None:
    """Initialise the tensors in place, from a seed; batch-norm starts as the identity.

    Convolutions: He et al., "Delving Deep into Rectifiers", 2015. `last_norm` is the name within a
    residual block of its last batch-norm, which starts at 0, so that each block starts as its
    shortcut (Goyal et al., "Accurate, Large Minibatch SGD", 2017).
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", generator=generator)
            _zero(layer.bias)
        elif isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            _zero(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | ZeroPaddedShortcut):
            layer.reset_parameters()
    for name, layer in module.named_modules():
        if last_norm is not None and name.endswith(f".{last_norm}"):
            nn.init.zeros_(layer.get_parameter("weight"))


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
