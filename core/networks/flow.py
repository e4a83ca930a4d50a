"""The structure of a network, found by running it."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from core.networks.groups import Group, Member, Structure, trace
from core.networks.layers import prunable_layers


def follow(module: nn.Module, shape: tuple[int, ...]) -> Structure:
    graph = trace(module)
    layers = prunable_layers(module)
    positions: dict[str, int] = {}

    def note_as(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            positions[name] = output[0, 0].numel()

        return note

    handles = [layer.register_forward_hook(note_as(name)) for name, layer in layers.items()]
    with torch.inference_mode():
        copy.deepcopy(module).to("meta").eval()(torch.zeros(shape, device="meta"))
    for handle in handles:
        handle.remove()
    groups = tuple(replace(group, members=_members(module, group)) for group in graph.groups)
    return Structure(groups, tuple(layers), graph.batch_norm_of, positions, {}, {}, True, shape)


def _members(module: nn.Module, group: Group) -> tuple[Member, ...]:
    stored = module.state_dict()
    each = np.arange(group.size)[:, None]
    found = [
        Member(f"{name}.{tensor}", 0, each)
        for name in (*group.producers, *group.depthwise, *group.batch_norms)
        for tensor in ("weight", "bias", "running_mean", "running_var")
        if f"{name}.{tensor}" in stored
    ]
    for name, repeat in group.consumers:
        found.append(Member(f"{name}.weight", 1, each * repeat + np.arange(repeat)))
    return tuple(found)
