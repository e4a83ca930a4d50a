"""Many prunings of one baseline, measured and kept: only what the store does not have yet."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor

from core.checkpoint import Checkpoint
from core.cost import compressed_bytes, cost
from core.data import DataSet, normalise, subset_indices
from core.device import DTYPES, best_device, resolve_precision
from core.evaluation import BATCH_SIZE, Evaluation, classify, for_inference
from core.model import ResNet18
from core.pruning import (
    ALLOCATIONS,
    ALLOCATIONS_OF,
    CRITERIA,
    CRITERIA_OF,
    METHODS,
    Pruner,
    PruningSpec,
)
from core.recovery import Recovering, Recovery, recover
from core.results import Key, Origin, Result, ResultStore


@dataclass(frozen=True)
class Point:
    """One pruning, and what is done after it."""

    spec: PruningSpec
    recovery: Recovery


@dataclass(frozen=True, eq=False)
class Progress:
    """Of a sweep: `result` is set where a point was measured."""

    point: Point
    finished: int  # points, of those that were missing
    missing: int  # points, when the sweep began
    seconds_left: float | None  # None until the first point is finished
    result: Result | None = None


def grid(
    methods: Sequence[str],
    ratios: Sequence[float],
    criteria: Sequence[str] = ("l1",),
    allocations: Sequence[str] = ("uniform",),
    scopes: Sequence[str] = ("all",),
    recoveries: Sequence[str] = ("none",),
    seed: int = 0,
) -> list[Point]:
    """Every combination that means something, each once, curve by curve.

    What a method ignores is at its default; criteria and allocations that it does not have are left
    out. Both recoveries of one network stand side by side, since they share it. Raises
    InputError for words or ratios that do not exist.
    """
    points: dict[Point, None] = {}
    for method, criterion, allocation, scope in product(methods, criteria, allocations, scopes):
        words_exist = method in METHODS and criterion in CRITERIA and allocation in ALLOCATIONS
        if words_exist and not (
            criterion in CRITERIA_OF[method] and allocation in ALLOCATIONS_OF[method]
        ):
            continue
        for ratio in ratios:
            spec = PruningSpec(method, ratio, criterion, allocation, scope, seed).canonical()
            for recovery in recoveries:
                points[Point(spec, Recovery.named(recovery))] = None
    return list(points)


class Measurer:
    """Measures prunings of one baseline on one subset; what they share is prepared once.

    The subset is the whole test set unless told. `pruner` is made from the checkpoint unless there
    is one already. Raises InputError for a subset that cannot be drawn.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        dataset: DataSet,
        subset: int | None = None,
        seed: int = 0,
        precision: str = "auto",
        device: torch.device | None = None,
        pruner: Pruner | None = None,
    ):
        self._checkpoint = checkpoint
        self._dataset = dataset
        everything = len(dataset.test_labels)
        self._subset = everything if subset is None else subset
        self._seed = 0 if self._subset == everything else seed
        self._device = device or best_device()
        self._precision = resolve_precision(precision, self._device)
        self._chosen = subset_indices(dataset.test_labels, self._subset, self._seed)
        self._pruner = pruner
        self._last: tuple[PruningSpec, ResNet18] | None = None

    def key(self, point: Point) -> Key:
        return Key(
            checkpoint=self._checkpoint.fingerprint,
            spec=point.spec,
            recovery=point.recovery,
            data=self._dataset.fingerprint,
            subset=self._subset,
            subset_seed=self._seed,
            precision=self._precision,
        )

    @property
    def test_labels(self) -> np.ndarray:
        """Of the whole test set, uint8 (images,)."""
        return self._dataset.test_labels.numpy().astype(np.uint8)

    def measure(self, point: Point) -> Iterator[Recovering | Evaluation | Result]:
        """Yield progress batch by batch, and last the result. Can be dropped at any event."""
        pruned = self._prune(point.spec)
        network = yield from self._recover(pruned, point.recovery)
        started = time.perf_counter()
        evaluation = None
        for evaluation in self._classify(network, point.recovery):
            yield evaluation
        assert evaluation is not None
        seconds = time.perf_counter() - started
        order = torch.argsort(self._chosen).numpy()  # from the order drawn to the test set's
        yield Result(
            key=self.key(point),
            predictions=evaluation.predictions[order].astype(np.uint8),
            labels=evaluation.labels[order].astype(np.uint8),
            loss_sum=evaluation.loss_sum,
            cost=cost(pruned),
            compressed_bytes=self._compressed_bytes(network),
            origin=Origin(
                device=self._device.type,
                versions=f"torch {torch.__version__}",
                seconds=seconds,
                date=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )

    def _recover(
        self, pruned: ResNet18, recovery: Recovery
    ) -> Generator[Recovering, None, ResNet18]:
        steps = recover(pruned, recovery, self._dataset, self._precision, self._device)
        network = yield from steps
        assert isinstance(network, ResNet18)
        return network

    def _classify(self, network: ResNet18, _recovery: Recovery) -> Iterator[Evaluation]:
        ready = for_inference(network, self._device, self._precision)
        yield from classify(ready, self._inputs, self._labels)

    def _compressed_bytes(self, network: ResNet18) -> int | None:
        return compressed_bytes(network)

    @cached_property
    def _inputs(self) -> tuple[Tensor, ...]:
        """The test images of the subset, normalised once for all points, in batches."""
        images = self._dataset.test_images[self._chosen].to(self._device)
        return torch.split(normalise(images, DTYPES[self._precision]), BATCH_SIZE)

    @property
    def _labels(self) -> Tensor:
        return self._dataset.test_labels[self._chosen]

    def _prune(self, spec: PruningSpec) -> ResNet18:
        """The pruned network; the last one is kept for the recoveries that share it."""
        if self._last is None or self._last[0] != spec:
            self._pruner = self._pruner or Pruner(self._checkpoint.model)
            pruned = self._pruner.prune(spec).model
            assert isinstance(pruned, ResNet18)
            self._last = (spec, pruned)
        return self._last[1]


def sweep(
    measurer: Measurer,
    points: Sequence[Point],
    store: ResultStore,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Progress]:
    """Measure the points that the store lacks, and keep each as soon as it is finished.

    The generator can be dropped, or its process killed, at any event: what was finished is in the
    store, and the next sweep goes on from there. Each point is measured within a `turn`, so that
    others can have theirs between two points; what one of them measured meanwhile is not measured
    again. Raises StoreError where nothing can be kept.
    """
    wanted: dict[Key, Point] = {}
    for point in points:
        wanted.setdefault(measurer.key(point), point)
    missing = {key: point for key, point in wanted.items() if not store.has(key)}
    work = sum(_work(point) for point in missing.values())
    done = 0.0
    seconds_left = None
    started = time.perf_counter()
    for finished, (key, point) in enumerate(missing.items()):
        with turn():
            if store.has(key):
                work -= _work(point)
                yield Progress(point, finished + 1, len(missing), seconds_left)
                continue
            for event in measurer.measure(point):
                if not isinstance(event, Result):
                    yield Progress(point, finished, len(missing), seconds_left)
                    continue
                store.put([event], measurer.test_labels)
                done += _work(point)
                seconds_left = (time.perf_counter() - started) * max(0.0, work - done) / done
                yield Progress(point, finished + 1, len(missing), seconds_left, event)


def _work(point: Point) -> float:
    """About how long a point takes, of what the unpruned network takes."""
    kept = 1 - point.spec.ratio if point.spec.method == "channel" else 1.0
    recovering = 0.3 if point.recovery.method == "bn" else 0.0
    return 0.1 + (1 + recovering) * kept**2
