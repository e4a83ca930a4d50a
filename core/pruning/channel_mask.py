"""Filter masking: whole filters become zero in place, each convolution for itself.

What `torch.nn.utils.prune.ln_structured` does. The batch-norm behind a zeroed filter still shifts
and scales the zeros by statistics of the filter that was there, so this is not removal.
"""

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.networks.layers import copy_with, output_dim, prunable_layers
from core.pruning.criteria import Facts, NoScoreError, filter_scores, refuse_nan
from core.pruning.selection import count, lowest_indices, one_of_each, refuse_unknown
from core.specs.pruning import PruningSpec


class FilterMasker:
    """Masks one baseline at any ratio by one criterion; the filters are scored once.

    Raises InputError where the criterion can score no convolution.
    """

    def __init__(self, facts: Facts, criterion: str):
        baseline, structure = facts.network.module, facts.network.structure
        self._baseline = baseline
        self._structure = structure
        self._names = facts.weights
        layers = prunable_layers(baseline)
        stored = {name: layers[name] for name in self._names if name not in structure.computed}
        convolutions, shared = one_of_each(
            {name: each for name, each in stored.items() if not isinstance(each, nn.Linear)},
            self._names,
        )
        refuse_nan(convolutions)
        self.scores: dict[str, Tensor] = {}  # of its filters, by convolution
        self._notes = [*structure.computed.values(), *shared]
        for name in convolutions:
            try:
                scores = filter_scores(facts, name, criterion)
            except NoScoreError as error:
                self._notes.append(f"The filters of {name} stay: {error}.")
            else:
                self.scores[name] = scores.cpu()
        if convolutions and not self.scores:
            raise InputError(f"No convolution can be scored by {criterion!r}: {self._notes[-1]}")

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

    def kept(self, spec: PruningSpec) -> dict[str, Tensor]:
        """The channels that some convolution still makes, ascending, by group."""
        removed = {self._names[name]: gone for name, gone in self.removed(spec).items()}
        layers = prunable_layers(self._baseline)
        kept = {}
        for group in self._structure.groups:
            is_made = torch.zeros(group.size, dtype=torch.bool)
            for name in group.producers:
                weight, dim = self._names[name], output_dim(layers[name])
                is_left = torch.ones(layers[name].weight.shape[dim], dtype=torch.bool)
                is_left[removed.get(weight, [])] = False
                is_made |= is_left[torch.from_numpy(group.positions_in(weight, dim))].any(1)
            kept[group.name] = is_made.nonzero().flatten()
        return kept

    def prune(self, spec: PruningSpec) -> nn.Module:
        """A copy with zeroed filters; the baseline is not touched."""
        layers = prunable_layers(self._baseline)
        masked = {}
        for name, indices in self.removed(spec).items():
            weight = layers[name].weight.detach()
            masked[self._names[name]] = weight.index_fill(
                output_dim(layers[name]), indices.to(weight.device), 0
            )
        return copy_with(self._baseline, masked)

    def removes_something(self, spec: PruningSpec) -> bool:
        """Whether one filter at least becomes zero."""
        return any(len(gone) for gone in self.removed(spec).values())

    def notes(self, spec: PruningSpec) -> tuple[str, ...]:  # noqa: ARG002 the same for all
        """Sentences about the filters that stay whatever the ratio is."""
        return tuple(self._notes)

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        module = prunable_layers(self._baseline)[layer]
        kept = torch.ones(module.weight.shape, dtype=torch.bool)
        removed = {self._names[name]: gone for name, gone in self.removed(spec).items()}
        gone = removed.get(self._names.get(layer, ""))
        return kept if gone is None else kept.index_fill_(output_dim(module), gone, False)
