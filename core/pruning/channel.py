"""Channel pruning: whole channels are removed, and every layer that has them becomes narrower.

Li, Kadav, Durdanovic, Samet, Graf: "Pruning Filters for Efficient ConvNets", 2017.
"""

import torch
from torch import Tensor, nn

from core.networks.groups import Group, Structure, batch_norm_behind
from core.networks.layers import copy_with, prunable_layers
from core.pruning.criteria import filter_scores
from core.pruning.selection import count, lowest_indices, refuse_unknown
from core.specs.pruning import PruningSpec

PER_OUTPUT = ("weight", "bias", "running_mean", "running_var")
DEPTHWISE_SIZES = ("out_channels", "in_channels", "groups")


class ChannelPruner:
    """Prunes one baseline at any ratio by one criterion; the groups are scored once."""

    def __init__(self, baseline: nn.Module, graph: Structure, criterion: str, seed: int):
        self._baseline = baseline
        self._groups = graph.groups
        self._scores = group_scores(baseline, graph, criterion, seed)

    def kept(self, spec: PruningSpec) -> dict[str, Tensor]:
        """The indices that stay, ascending, for each group in scope.

        Raises InputError for an override of a group that is not in scope.
        """
        in_scope = [group for group in self._groups if group.is_in(spec.scope)]
        scores = {group.name: self._scores[group.name] for group in in_scope}
        overrides = dict(spec.overrides)
        refuse_unknown(overrides, scores, "group of channels")
        sharing = {name: group for name, group in scores.items() if name not in overrides}
        if spec.allocation == "global":
            removed = _global(sharing, spec.ratio)
        else:
            removed = {name: _lowest(group, spec.ratio) for name, group in sharing.items()}
        removed |= {name: _lowest(scores[name], ratio) for name, ratio in overrides.items()}
        return {name: _all_but(indices, len(scores[name])) for name, indices in removed.items()}

    def prune(self, spec: PruningSpec) -> nn.Module:
        """A narrower copy; the baseline is not touched."""
        return keep_channels(self._baseline, self._groups, self.kept(spec))

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        shape = prunable_layers(self._baseline)[layer].weight.shape
        outputs, inputs = (torch.ones(size, dtype=torch.bool) for size in shape[:2])
        kept = self.kept(spec)
        for group in self._groups:
            if group.name not in kept:
                continue
            if layer in group.producers or layer in group.depthwise:
                outputs = _mask(kept[group.name], shape[0])
            for name, repeat in group.consumers:
                if name == layer:
                    inputs = _mask(_inputs(kept[group.name], repeat), shape[1])
        corners = outputs[:, None] & inputs
        return corners.view(*shape[:2], *[1] * (len(shape) - 2)).expand(shape)

    @property
    def scores(self) -> dict[str, Tensor]:
        """Of each group's channels, (channels,); the lowest go first."""
        return self._scores


def group_scores(
    model: nn.Module, graph: Structure, criterion: str, seed: int
) -> dict[str, Tensor]:
    """Each channel's filter score, averaged over the layers of its group that produce it."""
    layers = prunable_layers(model)
    generator = torch.Generator().manual_seed(seed)
    scores = {}
    for group in graph.groups:
        members = [
            filter_scores(
                layers[name].weight, batch_norm_behind(model, graph, name), criterion, generator
            )
            for name in group.producers
        ]
        scores[group.name] = torch.stack(members).mean(0).cpu()
    return scores


def _lowest(scores: Tensor, ratio: float) -> Tensor:
    """The lowest of a group, one channel always left."""
    return lowest_indices(scores, min(count(ratio, len(scores)), len(scores) - 1))


def _global(scores: dict[str, Tensor], ratio: float) -> dict[str, Tensor]:
    """The lowest of all groups, each group's scores divided by their mean first.

    The best channel of each group is protected; the next-lowest elsewhere goes in its place.
    """
    if not scores:
        return {}
    sizes = [len(group) for group in scores.values()]
    relative = []
    for group in scores.values():
        scaled = group / group.mean().clamp_min(torch.finfo(group.dtype).tiny)
        last_to_go = scaled.sort(stable=True).indices[-1]
        scaled[last_to_go] = torch.inf
        relative.append(scaled)
    number = min(count(ratio, sum(sizes)), sum(sizes) - len(sizes))
    removed = torch.zeros(sum(sizes), dtype=torch.bool)
    removed[lowest_indices(torch.cat(relative), number)] = True
    return {
        name: mask.nonzero().flatten()
        for name, mask in zip(scores, torch.split(removed, sizes), strict=True)
    }


def _all_but(removed: Tensor, size: int) -> Tensor:
    return (~_mask(removed, size)).nonzero().flatten()


def _mask(indices: Tensor, size: int) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[indices] = True
    return mask


def _inputs(channels: Tensor, repeat: int) -> Tensor:
    """Where the channels enter a layer that has `repeat` inputs for each."""
    return (channels[:, None] * repeat + torch.arange(repeat)).flatten()


def keep_channels(
    model: nn.Module, groups: tuple[Group, ...], kept: dict[str, Tensor]
) -> nn.Module:
    """A copy of the model with only the `kept` channels of the named groups."""
    tensors_before = dict(model.named_parameters()) | dict(model.named_buffers())
    narrowed: dict[str, Tensor] = {}  # those that change; the others are copied
    sizes: list[tuple[str, str, int]] = []  # module, attribute, its new value

    def select(module: str, tensors: tuple[str, ...], indices: Tensor, dim: int) -> None:
        for tensor in (f"{module}.{name}" for name in tensors):
            if tensor in tensors_before:
                old = narrowed.get(tensor, tensors_before[tensor]).detach()
                narrowed[tensor] = old.index_select(dim, indices.to(old.device))

    for group in groups:
        if group.name not in kept or len(kept[group.name]) == group.size:
            continue
        indices = kept[group.name]
        number = len(indices)
        for name in group.producers:
            select(name, PER_OUTPUT, indices, dim=0)
            sizes += [(name, "out_channels", number), (name, "out_features", number)]
        for name in group.depthwise:
            select(name, PER_OUTPUT, indices, dim=0)
            sizes += [(name, attribute, number) for attribute in DEPTHWISE_SIZES]
        for name in group.batch_norms:
            select(name, PER_OUTPUT, indices, dim=0)
            sizes.append((name, "num_features", number))
        for name, repeat in group.consumers:  # a flattened channel enters as several inputs
            inputs = _inputs(indices, repeat)
            select(name, ("weight",), inputs, dim=1)
            sizes += [(name, "in_channels", len(inputs)), (name, "in_features", len(inputs))]
    pruned = copy_with(model, narrowed)
    modules = dict(pruned.named_modules())
    for name, attribute, value in sizes:
        if hasattr(modules[name], attribute):
            setattr(modules[name], attribute, value)
    return pruned
