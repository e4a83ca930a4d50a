"""What is known from training images of how much each input of a layer matters."""

import copy
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from core.evidence.moments import RIDGE, Moments
from core.evidence.reading import readers, readers_of
from core.networks.batch_norm import Recovering
from core.networks.network import Network

BATCH = 50  # images with gradients at once


@dataclass(frozen=True, eq=False)
class InputSaliency:
    """What is known of the inputs of one layer."""

    energy: Tensor  # float32 (inputs,): the mean square of each
    inverse: Tensor  # float32 (inputs, places): diagonal of the inverse of their second moments
    loss: (
        Tensor  # float32 (inputs,): what the layer loses if one goes and the others make up for it
    )

    @classmethod
    def of(cls, weight: Tensor, moments: Moments) -> "InputSaliency":
        """Compute it for a layer's weight (outputs, inputs, ...)."""
        energy = moments.variance + moments.mean.square()
        elimination = moments.elimination(torch.arange(len(energy)))
        inverse = elimination.square().sum(0).view(len(energy), moments.places)
        return cls(energy, inverse, relative_loss(moments.rows(weight), moments))


@dataclass(frozen=True, eq=False)
class Saliency:
    """What is known of one baseline's channels."""

    identity: str  # of the baseline and the training images
    inputs: Mapping[str, InputSaliency]  # by layer
    changes: Mapping[str, Tensor]
    """By group, float32 (channels,): the mean, over images, of the square of what the loss would
    change, to the first order, if the channel were gone."""


def relative_loss(rows: Tensor, moments: Moments, ridge: float = RIDGE) -> Tensor:
    """Return what a layer loses without each of its inputs, float32 (inputs,).

    It is the squared error of what the layer computes when the others make up for the input as well
    as a linear layer can, relative to the variance of what it computes. `rows` are the layer's
    weights, (rows, inputs, places). With the covariance C of the inputs and the weights W_c of one,
    the error is tr(W_c (C⁻¹)_cc⁻¹ W_cᵀ): Hassibi, Stork: "Optimal Brain Surgeon", 1993, for all
    weights of an input at once.
    """
    every = torch.arange(rows.shape[1])
    covariance = moments.covariance(every, every).double()
    weights = rows.double().flatten(1)
    computed = (weights @ covariance * weights).sum()
    raised = ridge * covariance.diagonal().mean()
    covariance.diagonal().add_(raised.clamp_min(torch.finfo(torch.float32).tiny))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    size, places = len(every), moments.places
    own = inverse.view(size, places, size, places)[every, :, every]  # (inputs, places, places)
    of_input = rows.double().movedim(1, 0)  # (inputs, rows, places)
    lost = (of_input @ torch.linalg.inv(own) * of_input).sum((1, 2))
    relative: Tensor = lost / computed.clamp_min(torch.finfo(torch.float64).tiny)
    return relative.float()


def changes_of_loss(
    network: Network, images: Tensor, labels: Tensor, device: torch.device
) -> Generator[Recovering, None, dict[str, Tensor]]:
    """Return `Saliency.changes`, from uint8 images (N, 3, H, W) and int64 labels (N,).

    A gate of 1 multiplies each channel where a layer reads it; the derivative of the loss by the
    gate is the change. Molchanov, Mallya, Tyree, Frosio, Kautz: "Importance Estimation for Neural
    Network Pruning", 2019. Gradients are in fp32. Yields progress.
    """
    gated = _Gated(network, device)
    positions = {group.name: readers_of(network, group) for group in network.groups}
    sums = {group.name: torch.zeros(group.size, dtype=torch.float64) for group in network.groups}
    done = 0
    for batch, truth in zip(torch.split(images, BATCH), torch.split(labels, BATCH), strict=True):
        derivatives = gated.derivatives(network.inputs(batch.to(device)), truth.to(device))
        for name, consumers in positions.items():
            read = [derivatives[layer][:, where].sum(2) for layer, where in consumers.items()]
            if read:
                sums[name] += torch.stack(read).sum(0).square().sum(0)
        done += len(batch)
        yield Recovering(done, len(images))
    return {name: (total / max(1, done)).float() for name, total in sums.items() if positions[name]}


class _Gated:
    """A copy of a network with a gate of 1 at every input channel of the layers that are read."""

    def __init__(self, network: Network, device: torch.device):
        self._module = copy.deepcopy(network.module).eval().to(device).requires_grad_(False)
        self._gates: dict[str, list[Tensor]] = {name: [] for name in readers(network)}
        for name in self._gates:
            layer = self._module.get_submodule(name)
            layer.register_forward_pre_hook(partial(self._gate, name), with_kwargs=True)

    def derivatives(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return each image's derivatives by the gates, float64 (N, inputs), by layer."""
        for gates in self._gates.values():
            gates.clear()
        loss = F.cross_entropy(self._module(inputs), labels, reduction="sum")
        every = [(name, gate) for name, gates in self._gates.items() for gate in gates]
        found = torch.autograd.grad(loss, [gate for _, gate in every], materialize_grads=True)
        derivatives: dict[str, Tensor] = {}
        for (name, _), each in zip(every, found, strict=True):  # a layer can be called twice
            each = each.double().cpu()
            derivatives[name] = derivatives[name] + each if name in derivatives else each
        return derivatives

    def _gate(
        self, name: str, layer: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        inputs = arguments[0] if arguments else named["input"]
        dim = -1 - len(layer.kernel_size) if isinstance(layer, _ConvNd) else -1
        gate = inputs.new_ones(len(inputs), inputs.shape[dim], requires_grad=True)
        self._gates[name].append(gate)
        shape = [1] * inputs.ndim
        shape[0], shape[dim] = gate.shape
        return (inputs * gate.view(shape), *arguments[1:]), {
            key: value for key, value in named.items() if key != "input"
        }
