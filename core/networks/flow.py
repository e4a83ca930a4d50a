"""Find a network's structure by running it once, on meta, with integer labels beside its tensors.

A layer gives its outputs labels of their own, one a channel. Operations that move numbers move the
labels, operations that join numbers tie them, and channels whose labels are tied go together. Only
what is really run counts: no pattern of layers is recognised, and Python control flow, functional
calls and subclasses need nothing. The idea of dependency groups is from Fang et al., "DepGraph:
Towards Any Structural Pruning", 2023.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor, nn

from core.networks.groups import Group, Structure
from core.networks.labels.components import Components
from core.networks.labels.execution import execute, refusal
from core.networks.labels.ledger import NONE, Tie
from core.networks.labels.run import Run
from core.networks.layers import prunable_layers
from core.networks.meta import meta_copy
from core.networks.narrow import kept_positions, narrow


def follow(module: nn.Module, example: Sequence[int] | Tensor) -> Structure:
    """The structure of any network that runs on one example of this shape, (1, ...).

    The module is neither touched nor run: a copy without numbers is, in eval mode. Several threads
    may follow the same module. Raises InputError where the network cannot be run so.
    """
    shape = tuple(example.shape if isinstance(example, Tensor) else example)
    full = _Full(meta_copy(module), shape)
    held = {
        group.name: "the operations that take them let them go all together only"
        for group in full.components.groups
        if group.size == 1 < group.members[0].positions.size
    }
    while True:  # every turn holds at least one group more
        groups = tuple(group for group in full.components.groups if group.name not in held)
        faults = full.faults(groups, {group.name: _without_every_third(group) for group in groups})
        if not faults:
            return _structure(full, groups, held)
        held |= faults


def faults_of(
    module: nn.Module, structure: Structure, kept: Mapping[str, Tensor]
) -> dict[str, str]:
    """The groups that would not be the same channels after narrowing, each with the reason.

    The narrower network is run with the labels that are left, and every operation must meet what it
    met in the full one. An empty answer means that it does.
    """
    full = _Full(meta_copy(module), structure.input_shape)
    return full.faults(structure.groups, kept)


def _executed(on_meta: nn.Module, shape: tuple[int, ...]) -> Run:
    run = Run(on_meta)
    try:
        execute(run, shape)
    except Exception as error:  # whatever a foreign forward raises
        raise refusal(run, shape, error) from error
    return run


_NO_LABELS = np.empty(0, np.int64)


class _Full:
    """The run of the whole network, and what a narrower one is compared with."""

    def __init__(self, on_meta: nn.Module, shape: tuple[int, ...]):
        self.module = on_meta
        self.shape = shape
        self.run = _executed(on_meta, shape)
        self.components = Components(self.run)

    def faults(self, groups: Sequence[Group], kept: Mapping[str, Tensor]) -> dict[str, str]:
        """See `faults_of`."""
        opened = dict(self.run.ledger.opened)
        for place, indices in kept_positions(groups, kept, self.module).items():
            opened[place] = opened[place][indices]
        replay = Run(narrow(self.module, groups, kept), opened)
        try:
            execute(replay, self.shape)
        except Exception:  # noqa: BLE001 a size written into a forward can fail in any way
            reason = f"a narrower tensor does not fit {replay.last_operation}"
            return self._holding(groups, kept, replay.last_labels, reason)
        if replay.ledger.opened.keys() != opened.keys():
            return self._holding(groups, kept, _NO_LABELS, "a narrower tensor takes another path")
        left = np.concatenate([_NO_LABELS, *opened.values()])
        is_left = np.isin(np.arange(self.components.labels), left)
        for whole, narrower in zip_longest(self.run.meetings, replay.meetings):
            different = _difference(whole, narrower, is_left)
            if len(different):
                operation = (whole or narrower).operation
                reason = f"{operation} would meet other channels or numbers in a narrower tensor"
                return self._holding(groups, kept, different, reason)
        for tie in replay.ledger.ties:
            new = tie.pairs[~self.components.are_tied(tie.pairs)]
            if len(new):
                reason = f"{tie.operation} would split a narrower tensor elsewhere"
                return self._holding(groups, kept, new, reason)
        return {}

    def _holding(
        self, groups: Sequence[Group], kept: Mapping[str, Tensor], labels: np.ndarray, reason: str
    ) -> dict[str, str]:
        """The narrowed groups of these labels; where there is none, those that were split, or all.

        So every turn holds one at least.
        """
        narrowed = [each for each in groups if len(kept.get(each.name, ())) not in (0, each.size)]
        found = self.groups_of(narrowed, labels) or self.groups_of(narrowed, self.split)
        return dict.fromkeys(found or [each.name for each in narrowed], reason)

    @property
    def split(self) -> np.ndarray:
        """All labels that an operation split by position."""
        labels: np.ndarray = np.concatenate([_NO_LABELS, *self.run.ledger.split])
        return labels

    def groups_of(self, groups: Sequence[Group], labels: np.ndarray) -> list[str]:
        """The names of the groups that have one of the labels."""
        components = self.components.of(np.unique(labels[labels > NONE]))

        def has_one(group: Group) -> bool:
            member = group.members[0]
            own = self.run.ledger.opened[member.tensor, member.dim][member.positions[:, 0]]
            return bool(np.isin(self.components.of(own), components).any())

        return [group.name for group in groups if has_one(group)]


def _difference(whole: Tie | None, narrower: Tie | None, is_left: np.ndarray) -> np.ndarray:
    """The labels that met in one run and not in the other, of those that are left; anchors as -1.

    All of them where the operation took other numbers.
    """
    expected = np.empty((0, 2), np.int64) if whole is None else whole.pairs.clip(min=-1)
    stays = is_left[expected.clip(min=NONE)] | (expected < NONE)
    expected = expected[stays.all(axis=1)]
    met = np.empty((0, 2), np.int64) if narrower is None else narrower.pairs.clip(min=-1)
    if whole is None or narrower is None or whole.numbers != narrower.numbers:
        return np.append(expected, met)
    rows = np.concatenate([np.unique(expected, axis=0), np.unique(met, axis=0)])
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    in_one_only = counts == 1
    labels: np.ndarray = distinct[in_one_only].ravel()
    return labels


def _without_every_third(group: Group) -> Tensor:
    """An uneven choice of channels that a trial keeps."""
    indices = torch.arange(group.size)
    return indices[indices % 3 != 1] if group.size > 1 else indices


def _structure(full: _Full, groups: tuple[Group, ...], held: Mapping[str, str]) -> Structure:
    run = full.run
    computed = {
        layer: f"{layer} cannot be pruned: {reason}." for layer, reason in run.computed.items()
    }
    layers = tuple(prunable_layers(full.module))
    return Structure(
        groups=groups,
        layers=layers,
        batch_norm_of=run.sole_batch_norms(),
        positions={layer: run.positions[layer] for layer in layers},
        fixed={
            layer: f"{layer} keeps its output channels: {reason}."
            for layer, reason in _reasons(full, layers, held).items()
        },
        computed=computed,
        is_sure=not full.groups_of(groups, full.split),
        input_shape=full.shape,
    )


def _reasons(full: _Full, layers: tuple[str, ...], held: Mapping[str, str]) -> dict[str, str]:
    """Why layers keep output channels, all or some of them."""
    run = full.run
    reasons = dict.fromkeys(
        layers, "the forward does not run it in eval mode, so it keeps its inputs too"
    )
    for place, layer in [*run.producers.items(), *run.depthwise.items()]:
        reasons.pop(layer, None)
        reason = full.components.reason(run.ledger.opened[place])
        if reason is not None:
            reasons[layer] = reason
    for group in full.components.groups:
        if group.name in held:
            for layer in (*group.producers, *group.depthwise):
                reasons.setdefault(layer, held[group.name])
    return reasons | run.computed
