"""The oracle of channel pruning: a narrower network against the full one that ignores channels."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.networks.flow import follow
from core.networks.groups import Structure
from core.networks.layers import output_dim, prunable_layers, stored_tensors, weight_names
from core.pruning.narrowing import agreeing, keep_channels

EXACT = 1e-12  # in double precision, relative to the largest output


def doubled(module: nn.Module, seed: int = 0) -> nn.Module:
    """The network in double precision and eval mode, all that it can learn drawn anew.

    Weights keep the scale of what passes; batch-norms change it by no more than a factor of 2.
    """
    module.double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in prunable_layers(module).values():
            fan_in = layer.weight.numel() // layer.weight.shape[output_dim(layer)]
            layer.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        for name, tensor in stored_tensors(module).items():
            is_vector = tensor.numel() == max(tensor.shape, default=0) > 0
            if is_vector and name.endswith(("weight", "running_var", "scale")):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif is_vector and tensor.is_floating_point():
                tensor.normal_(0, 0.2, generator=generator)
    return module


def random_choice(structure: Structure, ratio: float, seed: int = 0) -> dict[str, Tensor]:
    """Channels to keep of each group, ascending."""
    generator = torch.Generator().manual_seed(seed)
    return {
        group.name: torch.randperm(group.size, generator=generator)[
            : max(1, group.size - round(ratio * group.size))
        ].sort()[0]
        for group in structure.groups
    }


def ignoring(module: nn.Module, structure: Structure, kept: Mapping[str, Tensor]) -> nn.Module:
    """The full network in which no layer takes anything of the channels that are not kept."""
    module = copy.deepcopy(module)
    layers, weights = prunable_layers(module), weight_names(module)
    with torch.no_grad():
        for group in structure.groups:
            gone = torch.ones(group.size, dtype=torch.bool)
            gone[kept[group.name]] = False
            for name, _ in group.consumers:
                weight, in_dim = layers[name].weight, 1 - output_dim(layers[name])
                positions = torch.from_numpy(group.positions_in(weights[name], in_dim))
                weight.index_fill_(in_dim, positions[gone].flatten(), 0)
    return module


def outputs(module: nn.Module, example: tuple[int, ...], number: int = 2) -> Tensor:
    """Of random images, all outputs in one row each."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(number, *example[1:], generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        result = module(images)
    parts = result if isinstance(result, tuple | list) else [result]
    return torch.cat([part.flatten(1) for part in parts if isinstance(part, Tensor)], 1)


def error_of_removal(module: nn.Module, structure: Structure, ratio: float, seed: int = 0) -> float:
    """The largest difference of the outputs after removing random channels, relative to them."""
    wanted = random_choice(structure, ratio, seed)
    narrower = keep_channels(module, structure, wanted)
    agreed, _ = agreeing(module, structure, wanted)
    everything = {group.name: torch.arange(group.size) for group in structure.groups}
    expected = outputs(ignoring(module, structure, everything | agreed), structure.input_shape)
    got = outputs(narrower, structure.input_shape)
    return float((got - expected).abs().max() / expected.abs().max())


def widths_after(module: nn.Module, structure: Structure, ratio: float = 0.5) -> dict[str, int]:
    """Output channels of every layer after removing that ratio of each group."""
    narrower = keep_channels(module, structure, random_choice(structure, ratio))
    return {
        name: layer.weight.shape[output_dim(layer)]
        for name, layer in prunable_layers(narrower).items()
    }


def check_removal(module: nn.Module, example: tuple[int, ...]) -> Structure:
    """Follow a network in double precision and compare removal with ignoring at several ratios."""
    structure = follow(module, example)
    for ratio in (0.2, 0.5, 0.9):
        assert error_of_removal(module, structure, ratio) <= EXACT
    return structure
