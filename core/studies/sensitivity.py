"""What each layer can bear: one pruned at a time, all others as they were."""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.device import DTYPES
from core.measuring.evaluation import classify, for_inference
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering, calibration_batches, for_calibration, statistics
from core.networks.groups import trace
from core.networks.layers import copy_with, prunable_layers
from core.networks.resnet import ResNet18, segment_of
from core.recovery.recover import calibration_images
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import NO_RECOVERY, RECOVERIES
from core.sweeps.measurer import Measurer

SCAN_RATIOS = tuple(step / 10 for step in range(1, 10))
SCAN_IMAGES = 2000


def units(model: ResNet18, method: str) -> tuple[str, ...]:
    """What is pruned at a time, in network order.

    For `channel` the groups, by their names, because their members cannot be pruned apart; for
    `channel-mask` the convolutions; for `fine` every prunable layer.
    """
    if method == "channel":
        return tuple(group.name for group in trace(model).groups)
    return tuple(
        name
        for name, layer in prunable_layers(model).items()
        if method == "fine" or isinstance(layer, nn.Conv2d)
    )


def scan_points(
    model: ResNet18,
    method: str,
    ratios: Sequence[float] = SCAN_RATIOS,
    recoveries: Sequence[str] = tuple(RECOVERIES),
    criterion: str = "l1",
    seed: int = 0,
) -> list[Point]:
    """The unpruned network, then each unit at each ratio, from the input to the output.

    `seed` is of the criterion `random`.
    """
    specs = [
        PruningSpec(method, 0.0, criterion, seed=seed, overrides=((unit, ratio),))
        for unit in units(model, method)
        for ratio in ratios
    ]
    return [
        Point(spec, Recovery.named(recovery))
        for spec in [UNPRUNED, *specs]
        for recovery in recoveries
    ]


class ScanMeasurer(Measurer):
    """Measures what `Measurer` does, with the same counts, but runs only what pruning changed.

    What the segments before the first changed one make of the images is the same for all points.
    It is kept, for the last such segment, so points should come in the network's order: up to
    130 kB an image of the subset for each recovery, and as much for each image that recovery uses.
    The compressed size, which takes as long as such an evaluation, is left out.
    """

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self._recovered: dict[Recovery, ResNet18] = {Recovery(): self._checkpoint.model}
        self._calibrating: dict[Recovery, _Prefix] = {}
        self._classifying: dict[Recovery, _Prefix] = {}

    def _recover(
        self, pruned: ResNet18, recovery: Recovery
    ) -> Generator[Recovering, None, ResNet18]:
        if recovery.method == NO_RECOVERY:
            return pruned
        unpruned = self._checkpoint.model
        if recovery not in self._recovered:
            self._recovered[recovery] = yield from super()._recover(unpruned, recovery)
            images = calibration_images(self._dataset, recovery)
            batches = calibration_batches(images, self._device, DTYPES[self._precision])
            self._calibrating[recovery] = _Prefix(self._for_calibration(unpruned), tuple(batches))
        start = first_changed_segment(unpruned, pruned)
        network = self._for_calibration(pruned)
        prefix = self._calibrating[recovery]
        done = 0
        for batch in prefix.before(start):
            _through(network.segments[start:], batch)
            done += len(batch)
            yield Recovering(done, prefix.images)
        known = dict(self._recovered[recovery].named_buffers())
        estimated = statistics(network, pruned)
        recovered = copy_with(
            pruned,
            {
                name: known[name] if segment_of(name) < start else buffer
                for name, buffer in estimated.items()
            },
        ).eval()
        assert isinstance(recovered, ResNet18)
        return recovered

    def _classify(self, network: ResNet18, recovery: Recovery) -> Iterator[Evaluation]:
        unpruned = self._recovered[recovery]
        if recovery not in self._classifying:
            ready = for_inference(unpruned, self._device, self._precision)
            assert isinstance(ready, ResNet18)
            self._classifying[recovery] = _Prefix(ready, self._inputs)
        start = first_changed_segment(unpruned, network)
        changed = for_inference(network, self._device, self._precision)
        assert isinstance(changed, ResNet18)
        rest = partial(_through, changed.segments[start:])
        yield from classify(rest, self._classifying[recovery].before(start), self._labels)

    def _compressed_bytes(self, _network: ResNet18) -> int | None:
        return None

    def _for_calibration(self, model: ResNet18) -> ResNet18:
        network = for_calibration(model, self._device, DTYPES[self._precision])
        assert isinstance(network, ResNet18)
        return network


class _Prefix:
    """What the first segments of a network make of batches, kept for the last segment asked for."""

    def __init__(self, network: ResNet18, batches: Sequence[Tensor]):
        self._segments = network.segments
        self._batches = batches
        self._kept = [(0, batch) for batch in batches]  # each with the segments it has passed

    @property
    def images(self) -> int:
        return sum(map(len, self._batches))

    def before(self, segment: int) -> Iterator[Tensor]:
        """The inputs of a segment, batch by batch. The generator can be dropped at any of them."""
        for number, batch in enumerate(self._batches):
            passed, kept = self._kept[number]
            if passed > segment:
                passed, kept = 0, batch
            kept = _through(self._segments[passed:segment], kept)
            self._kept[number] = (segment, kept)
            yield kept


def first_changed_segment(one: ResNet18, other: ResNet18) -> int:
    """The first of a network's segments in which two of them differ; past the last for none."""
    tensors = other.state_dict()
    changed = [
        segment_of(name)
        for name, tensor in one.state_dict().items()
        if not torch.equal(tensor, tensors[name])
    ]
    return min(changed, default=len(one.segments))


def _through(segments: Sequence[Callable[[Tensor], Tensor]], batch: Tensor) -> Tensor:
    with torch.inference_mode():
        for segment in segments:
            batch = segment(batch)
    return batch
