"""What pruning did to each layer, counted again on the pruned network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from core.networks.layers import filters, nonzero_per_output, output_dim
from core.networks.network import Network
from core.specs.point import UNPRUNED
from core.specs.pruning import PruningSpec


@dataclass(frozen=True)
class LayerReport:
    name: str
    weights: int  # in the baseline
    weights_left: int  # there still and not zero
    channels: int  # output channels in the baseline
    channels_left: int  # still there, and not all zero

    @property
    def sparsity(self) -> float:
        """The part of the baseline's weights that is gone or zero, 0 to 1."""
        return 1 - self.weights_left / self.weights


@dataclass(frozen=True, eq=False)
class Pruned:
    """A pruned network and its report, one entry a prunable layer in network order."""

    network: Network
    layers: tuple[LayerReport, ...]
    notes: tuple[str, ...] = ()  # sentences: what was not pruned, and why
    kept: Mapping[str, Tensor] = field(default_factory=dict)
    """The channels that still carry something, ascending, by group; without those of `fine`."""
    spec: PruningSpec = UNPRUNED
    """What was asked for."""

    @property
    def sparsity(self) -> float:
        """Of all prunable weights."""
        left = sum(layer.weights_left for layer in self.layers)
        return 1 - left / sum(layer.weights for layer in self.layers)


def report(baseline: Network, pruned: Network) -> tuple[LayerReport, ...]:
    """Compare two networks of the same layers."""
    entries = []
    for name, layer in baseline.layers.items():
        left = nonzero_per_output(filters(pruned.layers[name]))
        entries.append(
            LayerReport(
                name=name,
                weights=layer.weight.numel(),
                weights_left=int(left.sum()),
                channels=layer.weight.shape[output_dim(layer)],
                channels_left=int((left > 0).sum()),
            )
        )
    return tuple(entries)
