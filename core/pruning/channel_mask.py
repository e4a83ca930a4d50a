"""Filter masking: whole filters become zero in place, each convolution for itself.

What `torch.nn.utils.prune.ln_structured` does. The batch-norm behind a zeroed filter still shifts
and scales the zeros by statistics of the filter that was there, so this is not removal.
"""

import copy

import torch
from torch import Tensor, nn

from core.networks.groups import Structure, batch_norm_behind
from core.networks.layers import prunable_layers
from core.pruning.criteria import filter_scores
from core.pruning.selection import count, lowest_indices, refuse_unknown
from core.specs.pruning import PruningSpec


class FilterMasker:
    """Masks one baseline at any ratio by one criterion; the filters are scored once."""

    def __init__(self, baseline: nn.Module, graph: Structure, criterion: str, seed: int):
        self._baseline = baseline
        generator = torch.Generator().manual_seed(seed)
        self.scores: dict[str, Tensor] = {  # of its filters, by convolution
            name: filter_scores(
                layer.weight, batch_norm_behind(baseline, graph, name), criterion, generator
            ).cpu()
            for name, layer in prunable_layers(baseline).items()
            if isinstance(layer, nn.Conv2d)
        }

    def removed(self, spec: PruningSpec) -> dict[str, Tensor]:
        """The indices of the filters that go, ascending, by convolution; one always stays.

        Raises InputError for an override of a layer that is no convolution of the network.
        """
        overrides = dict(spec.overrides)
        refuse_unknown(overrides, self.scores, "convolution")
        return {
            name: lowest_indices(
                scores, min(count(overrides.get(name, spec.ratio), len(scores)), len(scores) - 1)
            )
            for name, scores in self.scores.items()
        }

    def prune(self, spec: PruningSpec) -> nn.Module:
        """A copy with zeroed filters; the baseline is not touched."""
        pruned = copy.deepcopy(self._baseline)
        layers = prunable_layers(pruned)
        with torch.no_grad():
            for name, filters in self.removed(spec).items():
                weight = layers[name].weight
                weight[filters.to(weight.device)] = 0
        return pruned

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        kept = torch.ones(prunable_layers(self._baseline)[layer].weight.shape, dtype=torch.bool)
        kept[self.removed(spec).get(layer, [])] = False
        return kept
