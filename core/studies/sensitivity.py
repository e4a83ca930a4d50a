"""Sensitivity scan: the accuracy when one layer is pruned and all others are not."""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from core.device import DTYPES
from core.measuring.evaluation import classify
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import (
    Recovering,
    calibration_batches,
    for_calibration,
    recalibrate,
    statistics,
)
from core.networks.inference import for_inference
from core.networks.layers import copy_with, weight_names
from core.networks.network import Network
from core.networks.segments import Segment, run_segments
from core.pruning import Pruned
from core.pruning.criteria import can_score
from core.pruning.selection import one_of_each
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import METHODS, NO_RECOVERY, RECOVERIES
from core.sweeps.measurer import Measurer

SCAN_RATIOS = tuple(step / 10 for step in range(1, 10))
SCAN_IMAGES = 2000
SCANNED = ("none", "bn")
"""The recoveries that are scanned: they leave the layers before the pruned one as they are."""
OVERHEAD = 0.1  # of pruning and storing, relative to evaluating the unpruned network


def units(network: Network, method: str, criterion: str = "l1") -> tuple[str, ...]:
    """Return the names of the units that can have a ratio of their own, in network order.

    For `channel` these are the groups, whose layers must be pruned together; for `channel-mask` the
    convolutions; for `fine` all prunable layers. Units that the criterion cannot score, or whose
    weight is computed or belongs to an earlier layer, are left out.
    """
    structure, layers = network.structure, network.layers
    if METHODS[method].prunes_groups:
        groups = network.groups
        return tuple(group.name for group in groups if can_score(network, group, criterion))
    names = weight_names(network.module)
    stored = {
        name: layers[name]
        for name in names
        if name not in structure.computed
        and (METHODS[method].prunes_weights or not isinstance(layers[name], nn.Linear))
    }
    first = one_of_each(stored, names)[0]
    return tuple(name for name in first if can_score(network, name, criterion))


def scan_points(
    network: Network,
    method: str,
    ratios: Sequence[float] = SCAN_RATIOS,
    recoveries: Sequence[str] = SCANNED,
    criterion: str = "l1",
    seed: int = 0,
) -> list[Point]:
    """Return the points of a scan: the unpruned network, then each unit at each ratio, in order.

    `seed` is used by the criterion `random`.
    """
    specs = [
        PruningSpec(method, 0.0, criterion, seed=seed, overrides=((unit, ratio),))
        for unit in units(network, method, criterion)
        for ratio in ratios
    ]
    return [
        Point(spec, Recovery.named(recovery))
        for spec in [UNPRUNED, *specs]
        for recovery in recoveries
    ]


def scan_work(network: Network) -> Callable[[Point], float]:
    """Return an estimate of a point's time in a scan, relative to evaluating the whole network.

    Only the segments from the first changed one are run, and they are weighted by their MACs.
    """
    groups = {group.name: group for group in network.groups}
    everything = sum(network.macs.values()) or 1

    @cache
    def part_to_run(units: tuple[str, ...]) -> float:
        members = [member for unit in units if unit in groups for member in groups[unit].members]
        changed = {f"{unit}.weight" for unit in units} | {member.tensor for member in members}
        segments = network.segments
        whole = 0 if not changed else len(segments)
        first = next((n for n, each in enumerate(segments) if any(map(each.owns, changed))), whole)
        return (
            sum(
                macs
                for name, macs in network.macs.items()
                if any(segment.owns(f"{name}.weight") for segment in segments[first:])
            )
            / everything
        )

    def work(point: Point) -> float:
        passes = 1 + RECOVERIES[point.recovery.method].images / SCAN_IMAGES
        return OVERHEAD + passes * part_to_run(tuple(unit for unit, _ in point.spec.overrides))

    return work


class ScanMeasurer(Measurer):
    """A `Measurer` with the same counts that only runs the segments changed by pruning.

    The activations in front of the first changed segment are the same as in the unpruned network.
    They are cached for one segment, so measure points in network order. The cache takes up to
    130 kB per image of 32x32 pixels of the subset for each recovery, and as much per image used by
    the recovery.
    The compressed size is not measured, because it takes as long as one evaluation.
    """

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self._recovered: dict[Recovery, Network] = {Recovery(): self.checkpoint.network}
        self._calibrating: dict[Recovery, _PrefixCache] = {}
        self._classifying: dict[Recovery, _PrefixCache] = {}

    def _recover(self, result: Pruned, point: Point) -> Generator[Recovering, None, Network]:
        recovery = point.recovery
        pruned = result.network
        if recovery.method == NO_RECOVERY:
            return pruned
        unpruned = self.checkpoint.network
        if recovery not in self._recovered:
            images = self._dataset.training.draw(recovery.images, recovery.seed)
            self._recovered[recovery] = yield from recalibrate(
                unpruned, images, self._precision, self._device
            )
            batches = calibration_batches(
                images, unpruned.normalisation, self._device, DTYPES[self._precision]
            )
            segments = self._for_calibration(unpruned).segments
            self._calibrating[recovery] = _PrefixCache(segments, tuple(batches))
        start = first_changed_segment(unpruned, pruned)
        network = self._for_calibration(pruned)
        prefix = self._calibrating[recovery]
        done = 0
        for batch in prefix.before(start):
            run_segments(network.segments[start:], batch)
            done += len(batch)
            yield Recovering(done, prefix.images)
        known = self._recovered[recovery].tensors()
        before = unpruned.segments[:start]
        estimated = {
            name: known[name] if any(segment.owns(name) for segment in before) else buffer
            for name, buffer in statistics(network.module, pruned.module).items()
        }
        return pruned.with_module(copy_with(pruned.module, estimated).eval())

    def _classify(self, network: Network, recovery: Recovery) -> Generator[Evaluation, None, None]:
        unpruned = self._recovered[recovery]
        if recovery not in self._classifying:
            ready = unpruned.with_module(for_inference(unpruned, self._device, self._precision))
            self._classifying[recovery] = _PrefixCache(ready.segments, tuple(self._inputs))
        start = first_changed_segment(unpruned, network)
        changed = network.with_module(for_inference(network, self._device, self._precision))
        rest = partial(run_segments, changed.segments[start:])
        yield from classify(rest, self._classifying[recovery].before(start), self._labels)

    def _compressed_bytes(self, _network: Network) -> int | None:
        return None

    def _for_calibration(self, network: Network) -> Network:
        dtype = DTYPES[self._precision]
        return network.with_module(for_calibration(network.module, self._device, dtype))


class _PrefixCache:
    """A cache of the activations in front of the segment that was requested last."""

    def __init__(self, segments: Sequence[Segment], batches: Sequence[Tensor]):
        self._segments = segments
        self._batches = batches
        self._kept = [(0, batch) for batch in batches]  # (segments passed, activations)

    @property
    def images(self) -> int:
        return sum(map(len, self._batches))

    def before(self, segment: int) -> Iterator[Tensor]:
        """Yield the inputs of a segment, batch by batch. Can be dropped at any batch."""
        for number, batch in enumerate(self._batches):
            passed, kept = self._kept[number]
            if passed > segment:
                passed, kept = 0, batch
            kept = run_segments(self._segments[passed:segment], kept)
            self._kept[number] = (segment, kept)
            yield kept


def first_changed_segment(one: Network, other: Network) -> int:
    """Return the first segment whose tensors differ, or the number of segments if none do."""
    tensors = other.tensors()
    changed = [
        name for name, tensor in one.tensors().items() if not torch.equal(tensor, tensors[name])
    ]
    return next(
        (
            number
            for number, segment in enumerate(one.segments)
            if any(segment.owns(name) for name in changed)
        ),
        len(one.segments),
    )
