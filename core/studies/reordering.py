"""What sorting the channels of a network changes: how its weights look, and nothing else."""

from dataclasses import dataclass

import torch
from torch import Tensor

from core.networks.layers import copy_with
from core.networks.network import Network
from core.networks.reorder import reorder
from core.pruning import Pruner
from core.specs.pruning import PruningSpec

IMAGES, SEED = 8, 0


@dataclass(frozen=True, eq=False)
class Reordering:
    """A network whose channels are sorted, the most important ones first, and its answers."""

    network: Network
    difference: float  # largest one of all answers, relative to the largest answer
    answers: int  # compared: images x classes
    groups: int  # that were sorted


def sort_channels(pruner: Pruner, spec: PruningSpec) -> Reordering:
    """Sort the channels of every group by the spec's criterion, and compare the answers.

    They are compared in double precision on 8 random images, so that only rounding is left. The
    spec is of a method that removes channels.
    """
    baseline = pruner.baseline
    order = {
        name: scores.sort(descending=True, stable=True).indices
        for name, scores in pruner.channel_scores(spec).items()
    }
    network = baseline.with_module(reorder(baseline.module, baseline.groups, order))
    before, after = (_answers(each) for each in (baseline, network))
    difference = float((before - after).abs().max() / before.abs().max())
    return Reordering(network, difference, before.numel(), len(order))


def _answers(network: Network) -> Tensor:
    """Return the answers to random images, float64 (images, classes)."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (IMAGES, *network.signature.example[1:])
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    module = copy_with(network.module, {}).double().eval()
    with torch.inference_mode():
        answers: Tensor = module(network.inputs(images, torch.float64))
    return answers
