"""Measuring many prunings of one baseline."""

from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from core.data.dataset import DataSet, subset_indices
from core.device import DTYPES, best_device, resolve_precision
from core.evidence import Evidence, kept_saliency, local_evidence
from core.measuring.cost import compressed_bytes, cost
from core.measuring.evaluation import BATCH_SIZES, classify
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.networks.inference import for_inference
from core.networks.network import Network
from core.pruning import Pruned, Pruner
from core.recovery.recover import recover
from core.results import Key, Origin, Result, compact
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import CRITERIA
from core.sweeps.stopwatch import Stopwatch
from core.sweeps.tuned import seconds_of_training, tuned, tuned_file

LARGEST_KEPT_INPUTS = 1 << 30
"""Largest size of normalised test images, in bytes, that are kept for all points."""


class Measurer:
    """Measures prunings of one baseline on one subset, and prepares the shared data once.

    By default the subset is the whole test set, and `pruner` and `evidence` are created from the
    checkpoint. Raises
    InputError for a subset that cannot be drawn.
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
        evidence: Evidence | None = None,
    ):
        self.checkpoint = checkpoint
        self._dataset = dataset
        everything = len(dataset.test_labels)
        self._subset = everything if subset is None else subset
        self._seed = 0 if self._subset == everything else seed
        self._device = device or best_device()
        self._precision = resolve_precision(precision, self._device)
        self._chosen = subset_indices(dataset.test_labels, self._subset, self._seed)
        self._pruner = pruner
        self._shared_evidence = evidence
        self._last: tuple[PruningSpec, Pruned] | None = None

    def key(self, point: Point) -> Key:
        return Key(
            checkpoint=self.checkpoint.fingerprint,
            spec=point.spec,
            recovery=point.recovery,
            data=self._dataset.fingerprint,
            subset=self._subset,
            subset_seed=self._seed,
            precision=self._precision,
            architecture=self.checkpoint.signature.identity,
            evidence=self.evidence.identity if needs_images(point.spec) else "",
        )

    @property
    def test_labels(self) -> np.ndarray:
        """Labels of the whole test set, compact (images,)."""
        return compact(self._dataset.test_labels.numpy())

    def measure(self, point: Point) -> Iterator[Recovering | Evaluation | Result]:
        """Yield progress batch by batch, and finally the result. Can be dropped at any event."""
        pruned = yield from self._pruned(point)
        recovering = Stopwatch()
        network = yield from recovering.timed(self._recover(pruned, point))
        evaluation: Evaluation | None = None
        stopwatch = Stopwatch()
        for evaluation in stopwatch.timed(self._classify(network, point.recovery)):
            yield evaluation
        assert evaluation is not None
        order = torch.argsort(self._chosen).numpy()  # sorts drawn images into test set order
        codes = evaluation.codes
        yield Result(
            key=self.key(point),
            predictions=compact(evaluation.predictions[order]),
            labels=compact(evaluation.labels[order]),
            loss_sum=evaluation.loss_sum,
            cost=cost(pruned.network),
            compressed_bytes=self._compressed_bytes(network),
            origin=Origin(
                device=self._device.type,
                versions=f"torch {torch.__version__}",
                seconds=stopwatch.seconds,
                date=datetime.now(UTC).isoformat(timespec="seconds"),
                recovery_seconds=self._seconds_of_training(point)
                if point.recovery.trains
                else recovering.seconds,
            ),
            codes=None if codes is None else codes[order],
        )

    def prepare(self) -> Generator[Recovering, None, None]:
        """Collect what criteria that look at training images need, unless it is there."""
        yield from self.evidence.saliency()

    def network(self, point: Point) -> Generator[Recovering, None, Network]:
        """Yield progress, and return the pruned and recovered network of a point.

        One that is fine-tuned is kept, for `measure` to find it, and not trained again.
        """
        pruned = yield from self._pruned(point)
        return (yield from self._recover(pruned, point))

    def _pruned(self, point: Point) -> Generator[Recovering, None, Pruned]:
        """Return the pruned network, after collecting what it and its recovery need of images."""
        if needs_images(point.spec):
            yield from self.prepare()
        if fitted := point.recovery.fitted:
            yield from self.evidence.moments(fitted.images, fitted.seed)
        return self._prune(point.spec)

    def _recover(self, pruned: Pruned, point: Point) -> Generator[Recovering, None, Network]:
        if point.recovery.trains:
            return (yield from tuned(pruned, point, self.checkpoint, self.evidence))
        return (yield from recover(pruned, point.recovery, self.evidence))

    def _seconds_of_training(self, point: Point) -> float | None:
        return seconds_of_training(tuned_file(point, self.checkpoint, self.evidence))

    @cached_property
    def evidence(self) -> Evidence:
        """What is known of the baseline from training images."""
        return self._shared_evidence or local_evidence(
            self.checkpoint, self._dataset.training, self._precision, self._device
        )

    def _classify(self, network: Network, _recovery: Recovery) -> Generator[Evaluation, None, None]:
        ready = for_inference(network, self._device, self._precision)
        yield from classify(ready, self._inputs, self._labels)

    def _compressed_bytes(self, network: Network) -> int | None:
        return compressed_bytes(network.module)

    @property
    def _inputs(self) -> Iterable[Tensor]:
        """The subset's test images in batches, normalised: once for all points if they are few."""
        image = self._dataset.test_images[:1]
        size = image.numel() * len(self._chosen) * DTYPES[self._precision].itemsize
        return self._kept_inputs if size <= LARGEST_KEPT_INPUTS else self._new_inputs()

    @cached_property
    def _kept_inputs(self) -> tuple[Tensor, ...]:
        return tuple(self._new_inputs())

    def _new_inputs(self) -> Iterator[Tensor]:
        for chosen in torch.split(self._chosen, BATCH_SIZES[self._device.type]):
            images = self._dataset.test_images[chosen].to(self._device)
            yield self.checkpoint.network.inputs(images, DTYPES[self._precision])

    @property
    def _labels(self) -> Tensor:
        return self._dataset.test_labels[self._chosen]

    def _prune(self, spec: PruningSpec) -> Pruned:
        """Prune the network; cache the last one, which several recoveries may share."""
        if self._last is None or self._last[0] != spec:
            self._pruner = self._pruner or new_pruner(self.checkpoint)
            self._last = (spec, self._pruner.prune(spec))
        return self._last[1]


def needs_images(spec: PruningSpec) -> bool:
    """Return whether the pruning depends on training images."""
    return CRITERIA[spec.criterion].needs_images and not spec.is_identity


def new_pruner(baseline: Checkpoint) -> Pruner:
    """Return a pruner that knows what was collected of the baseline on training images."""
    network, fingerprint = baseline.network, baseline.fingerprint
    return Pruner(network, lambda: kept_saliency(network, fingerprint))
