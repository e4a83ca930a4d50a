"""Removing channels, with a check where an operation splits channels by their position.

A forward computes such boundaries anew from the narrower tensor, and after an uneven removal they
may lie between other channels.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from core.networks.flow import faults_of
from core.networks.groups import Structure
from core.networks.narrow import narrow


def keep_channels(module: nn.Module, structure: Structure, kept: Mapping[str, Tensor]) -> nn.Module:
    """A copy with only the `kept` channels, ascending indices, of the groups that it names.

    Groups whose channels would not be the same ones afterwards keep all of them.
    """
    return narrow(module, structure.groups, agreeing(module, structure, kept)[0])


def agreeing(
    module: nn.Module, structure: Structure, kept: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The part of `kept` that can be narrowed together, and why the other groups cannot.

    Nothing is checked where the structure is sure.
    """
    agreed, reasons = dict(kept), dict[str, str]()
    while not structure.is_sure and _narrows(structure, agreed):
        faults = faults_of(module, structure, agreed)
        if not faults:
            break
        reasons |= faults
        agreed = {name: indices for name, indices in agreed.items() if name not in reasons}
    return agreed, reasons


def _narrows(structure: Structure, kept: Mapping[str, Tensor]) -> bool:
    return any(len(kept.get(each.name, ())) not in (0, each.size) for each in structure.groups)
