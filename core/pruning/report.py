"""What pruning did to each layer, counted again on the pruned network."""

from dataclasses import dataclass

from torch import nn

from core.networks.layers import nonzero_per_output, prunable_layers


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

    model: nn.Module
    layers: tuple[LayerReport, ...]

    @property
    def sparsity(self) -> float:
        """Of all prunable weights."""
        left = sum(layer.weights_left for layer in self.layers)
        return 1 - left / sum(layer.weights for layer in self.layers)


def report(baseline: nn.Module, pruned: nn.Module) -> tuple[LayerReport, ...]:
    """Compare two networks of the same layers."""
    after = prunable_layers(pruned)
    entries = []
    for name, layer in prunable_layers(baseline).items():
        left = nonzero_per_output(after[name].weight)
        entries.append(
            LayerReport(
                name=name,
                weights=layer.weight.numel(),
                weights_left=int(left.sum()),
                channels=len(layer.weight),
                channels_left=int((left > 0).sum()),
            )
        )
    return tuple(entries)
