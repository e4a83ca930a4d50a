"""What is known of a baseline's prunings, and the means to find out the rest."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from core.data.dataset import DataSet
from core.device import best_device, resolve_precision
from core.errors import InputError
from core.measuring.outcome import Evaluation
from core.networks.checkpoint import Checkpoint
from core.pruning import Pruner
from core.results import CurvePoint, Key, Result, ResultStore, StoreError
from core.specs.point import UNPRUNED, Point
from core.specs.recovery import NOTHING
from core.specs.vocabulary import PRECISIONS
from core.sweeps.ask import Answer, Event, Turn, ask
from core.sweeps.measurer import Measurer
from core.sweeps.reading import Reading, can_be_paired

BASELINE = Point(UNPRUNED, NOTHING)


class KnownResults:
    """Answers questions about one baseline: from the store, else by measuring, once.

    The store is asked first for the images that the baseline was evaluated on after its training,
    which need not be on this machine. Only what the store lacks needs images, and loads them;
    where there are none, `images` raises InputError. One measurement runs within a `turn`.
    """

    def __init__(
        self,
        store: ResultStore,
        checkpoint: Checkpoint,
        images: Callable[[], DataSet],
        pruner: Callable[[], Pruner],
        subset: int,
        seed: int = 0,
        precision: str = "auto",
        device: torch.device | None = None,
        turn: Turn = nullcontext,
    ):
        self.store = store
        self.turn = turn
        self.subset = subset  # test images that a new measurement is made on
        self.seed = seed
        self._checkpoint = checkpoint
        self._load_images = images
        self._pruner = pruner
        self._device = device or best_device()
        self._precision = resolve_precision(precision, self._device)
        self._found: dict[Point, Result] = {}  # asked for several times in a run
        self.missing_images_reason = (
            ""  # why there are none, once `images` was asked for and is None
        )

    def on_subset(self, subset: int, seed: int) -> "KnownResults":
        """The same baseline on other test images."""
        return KnownResults(
            self.store,
            self._checkpoint,
            self._load_images,
            self._pruner,
            subset,
            seed,
            self._precision,
            self._device,
            self.turn,
        )

    @cached_property
    def images(self) -> DataSet | None:
        try:
            return self._load_images()
        except InputError as error:
            self.missing_images_reason = str(error)
            return None

    def read(self, point: Point) -> Reading | None:
        """What the store knows, on the whole test set if it has that; None where it is missing."""
        result = self.result(point)
        return None if result is None else self._reading(result)

    def read_nearest(self, point: Point) -> Reading | None:
        """The nearest ratio that was measured, never an interpolation.

        None where only the unpruned network is known, which is on every curve.
        """
        ratios = [each.ratio for each in self.curve(point)]
        if not any(ratios):
            return None
        ratio = min(ratios, key=lambda known: abs(known - point.spec.ratio))
        result = self.result(Point(replace(point.spec, ratio=ratio), point.recovery))
        return None if result is None else self._reading(result, is_nearest=True)

    def measure(self, point: Point) -> Iterator[Event | Reading]:
        """Yield progress and last the reading; a known one at once. Needs the images."""
        if known := self.read(point):
            yield known
        else:
            yield from self.measure_on_local_images(point)

    def measure_on_local_images(self, point: Point) -> Iterator[Event | Reading]:
        """As `measure`, but only what is known on this machine's images counts.

        For all that is compared with a live result: shipped ones may be on another copy of the
        data set.
        """
        measurer = self.measurer()

        def keep(result: Result) -> None:
            with suppress(StoreError):  # shown all the same, and measured again next time
                self.store.put([result], measurer.test_labels)

        for event in ask(
            point, measurer, lambda: self._find_on_local_images(point), keep, self.turn
        ):
            if isinstance(event, Answer):
                yield self._reading(event.result, is_live=event.is_new)
            else:
                yield event

    def lacks_reference(self, reading: Reading) -> bool:
        """Whether measuring the baseline here would give a reading its missing reference."""
        if reading.reference is not None or self.images is None:
            return False
        asked = replace(reading.result.key, spec=UNPRUNED, recovery=NOTHING)
        return self.measurer().key(BASELINE) == asked

    def result(self, point: Point) -> Result | None:
        """The best result there is, without what it is compared with."""
        if point not in self._found:
            found = self.store.find(self._key(point))
            if found is None and self.images is not None:
                found = self.store.find(self.measurer().key(point))
            if found is None:
                return None
            self._found[point] = found
        return self._found[point]

    def curve(self, point: Point) -> list[CurvePoint]:
        """What is known at every ratio of the point's settings, ascending."""
        anywhere = Point(
            replace(point.spec, ratio=1.0), point.recovery
        )  # not 0, where methods meet
        shipped = self.store.curve(self._key(anywhere))
        if len(shipped) > 1 or self.images is None:  # the unpruned network is on every curve
            return shipped
        return self.store.curve(self.measurer().key(anywhere)) or shipped

    def counts(self, points: Sequence[Point]) -> list[tuple[int, int] | None]:
        """Correct and seen of each, all of one recovery, measured on the very subset.

        All on the same images, those of the baseline's results or else this machine's, and in one
        precision, the one that more of them are known in.
        """
        found = self._counts([self._key(point) for point in points])
        if any(count is not None for count in found) or self.images is None:
            return found
        return self._counts([self.measurer().key(point) for point in points])

    def restrict_to_subset(self, result: Result) -> Result:
        """A result on this subset, or cut down to it from the whole test set."""
        labels = self._labels_of(result)
        size = min(self.subset, len(labels))
        if result.key.subset == size:
            return result
        return result.on_subset(size, self.seed, labels)

    def evaluate_outside_subset(self, result: Result) -> Evaluation | None:
        """A result on those images that are not in this subset; None where there are none."""
        labels = self._labels_of(result)
        return result.evaluate_outside(min(self.subset, len(labels)), self.seed, labels)

    def measurer(self, kind: type[Measurer] = Measurer) -> Measurer:
        """What measures on this machine's images. Raises InputError where there are none."""
        if self.images is None:
            raise InputError(self.missing_images_reason)
        if kind is Measurer:
            return self._measurer
        return self._new_measurer(kind, self.images)

    @cached_property
    def _measurer(self) -> Measurer:
        assert self.images is not None
        return self._new_measurer(Measurer, self.images)

    def _new_measurer(self, kind: type[Measurer], images: DataSet) -> Measurer:
        return kind(
            self._checkpoint,
            images,
            min(self.subset, len(images.test_labels)),
            self.seed,
            self._precision,
            self._device,
            self._pruner(),
        )

    def _reading(self, result: Result, is_live: bool = False, is_nearest: bool = False) -> Reading:
        return Reading(result, self.reference(result), is_live, is_nearest)

    def reference(self, result: Result) -> Result | None:
        """The unpruned baseline on the very images of a result, in its precision."""
        known = self.result(BASELINE)
        if known is not None and can_be_paired(known, result):
            return known
        found = self._find_in_same_precision(replace(result.key, spec=UNPRUNED, recovery=NOTHING))
        if found is None or found.key.subset == result.key.subset:
            return found
        return found.on_subset(result.key.subset, result.key.subset_seed, self._labels_of(result))

    def _find_on_local_images(self, point: Point) -> Result | None:
        """What the store knows on this machine's images, in the precision asked for."""
        if self.images is None:
            return None
        return self._find_in_same_precision(self.measurer().key(point))

    def _find_in_same_precision(self, key: Key) -> Result | None:
        """The best answer to a key that a paired test can use."""
        found = self.store.find(key)
        if found is not None and found.key.precision == key.precision:
            return found
        return self.store.get(key)

    def _counts(self, keys: Sequence[Key]) -> list[tuple[int, int] | None]:
        precisions = sorted(PRECISIONS, key=lambda each: each != self._precision)
        found = [
            self._counts_in([replace(key, precision=precision) for key in keys])
            for precision in precisions
        ]
        return max(found, key=lambda counts: sum(each is not None for each in counts))

    def _counts_in(self, keys: Sequence[Key]) -> list[tuple[int, int] | None]:
        known = self.store.counts(keys[0])
        correct = [known.get((key.settings, key.hundredths)) for key in keys]
        return [None if each is None else (each, keys[0].subset) for each in correct]

    def _labels_of(self, result: Result) -> np.ndarray:
        labels = self.store.test_labels(result.key.data)
        assert labels is not None  # every stored result has them
        return labels

    def _key(self, point: Point) -> Key:
        """On the images that the baseline was evaluated on after its training."""
        data = str(self._checkpoint.metadata["data"]["fingerprint"])
        labels = self.store.test_labels(data)
        is_whole = labels is not None and self.subset >= len(labels)
        return Key(
            checkpoint=self._checkpoint.fingerprint,
            spec=point.spec,
            recovery=point.recovery,
            data=data,
            subset=len(labels) if labels is not None and is_whole else self.subset,
            subset_seed=0 if is_whole else self.seed,
            precision=self._precision,
            architecture=self._checkpoint.network.identity,
        )
