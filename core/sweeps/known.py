"""Look up stored results of a baseline, and measure missing ones."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from core.data.dataset import DataSet
from core.device import best_device, resolve_precision
from core.errors import InputError
from core.evidence import Evidence, kept_identity
from core.measuring.outcome import Evaluation
from core.networks.checkpoint import Checkpoint
from core.pruning import Pruner
from core.results import CurvePoint, Key, Result, ResultStore, StoreError
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING
from core.specs.vocabulary import PRECISIONS
from core.sweeps.ask import Answer, Event, Turn, ask
from core.sweeps.measurer import Measurer, needs_images
from core.sweeps.reading import Reading, can_be_paired

BASELINE = Point(UNPRUNED, NOTHING)


class KnownResults:
    """Results of one baseline: read from the store, or measured once and stored.

    The store is first searched for results on the images that the baseline was evaluated on after
    training, which need not be on this machine. Images are loaded only if a result is missing; the
    callable `images` raises InputError if there are none. Each measurement runs within a `turn`.
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
        evidence: Callable[[DataSet], Evidence] | None = None,
    ):
        self.store = store
        self.turn = turn
        self.subset = subset  # number of test images for new measurements
        self.seed = seed
        self._checkpoint = checkpoint
        self._load_images = images
        self._pruner = pruner
        self._evidence = evidence
        self._device = device or best_device()
        self._precision = resolve_precision(precision, self._device)
        self._found: dict[Point, Result] = {}  # cache: a run of a page looks points up repeatedly
        self.missing_images_reason = ""  # set when loading `images` has failed

    def on_subset(self, subset: int, seed: int) -> "KnownResults":
        """Return the results of the same baseline on other test images."""
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
            self._evidence,
        )

    @cached_property
    def images(self) -> DataSet | None:
        try:
            return self._load_images()
        except InputError as error:
            self.missing_images_reason = str(error)
            return None

    def read(self, point: Point) -> Reading | None:
        """Return the stored reading, preferably on the whole test set; None if there is none."""
        result = self.result(point)
        return None if result is None else self._reading(result)

    def read_nearest(self, point: Point) -> Reading | None:
        """Return the reading at the nearest measured ratio, without interpolation.

        Return None if only the unpruned network, which is on every curve, is known.
        """
        ratios = [each.ratio for each in self.curve(point)]
        if not any(ratios):
            return None
        ratio = min(ratios, key=lambda known: abs(known - point.spec.ratio))
        result = self.result(Point(replace(point.spec, ratio=ratio), point.recovery))
        return None if result is None else self._reading(result, is_nearest=True)

    def measure(self, point: Point) -> Iterator[Event | Reading]:
        """Yield progress and finally the reading; if it is stored, only that. Needs the images."""
        if known := self.read(point):
            yield known
        else:
            yield from self.measure_on_local_images(point)

    def measure_on_local_images(
        self, point: Point, accept: Callable[[Result], bool] = lambda _: True
    ) -> Iterator[Event | Reading]:
        """Like `measure`, but accept only stored results on this machine's images.

        Use it for results that are compared with a live one: shipped results may be on another copy
        of the data set. What `accept` refuses is measured again, and replaced.
        """
        measurer = self.measurer()

        def keep(result: Result) -> None:
            with suppress(StoreError):  # still show the result; it is measured again next time
                self.store.put([result], measurer.test_labels)

        for event in ask(
            point, measurer, lambda: self.on_local_images(point, accept), keep, self.turn
        ):
            if isinstance(event, Answer):
                yield self._reading(event.result, is_live=event.is_new)
            else:
                yield event

    def on_local_images(
        self, point: Point, accept: Callable[[Result], bool] = lambda _: True
    ) -> Result | None:
        """Look up a stored result on this machine's images, in the requested precision.

        One on exactly this subset is taken where `accept` refuses one on more images.
        """
        if self.images is None:
            return None
        key = self.measurer().key(point)
        stored = self._find_in_same_precision(key), self.store.get(key)
        return next((each for each in stored if each is not None and accept(each)), None)

    def lacks_reference(self, reading: Reading) -> bool:
        """Return whether measuring the baseline here would provide the missing reference."""
        if reading.reference is not None or self.images is None:
            return False
        asked = replace(reading.result.key, spec=UNPRUNED, recovery=NOTHING)
        return self.measurer().key(BASELINE) == asked

    def result(self, point: Point) -> Result | None:
        """Return the best stored result of a point, or None."""
        found = self.glance(point)
        if found is not None or self._has_images or self.images is None:
            return found
        return self.glance(point)

    def glance(self, point: Point) -> Result | None:
        """Do the same as `result`, but load no images to find the results on them."""
        if point not in self._found:
            found = self.store.find(self._key(point))
            if found is None and self._has_images:
                found = self.store.find(self.measurer().key(point))
            if found is None:
                return None
            self._found[point] = found
        return self._found[point]

    def curve(self, point: Point) -> list[CurvePoint]:
        """Return the known points at all ratios of the point's settings, ascending."""
        found = self.glance_at_curve(point)
        if len(found) > 1 or self._has_images or self.images is None:
            return found
        return self.glance_at_curve(point)

    def glance_at_curve(self, point: Point) -> list[CurvePoint]:
        """Do the same as `curve`, but load no images to find the results on them."""
        anywhere = Point(
            replace(point.spec, ratio=1.0), point.recovery
        )  # not 0, where methods meet
        shipped = self.store.curve(self._key(anywhere))
        if len(shipped) > 1 or not self._has_images:  # the unpruned network is on every curve
            return shipped
        return self.store.curve(self.measurer().key(anywhere)) or shipped

    @property
    def _has_images(self) -> bool:
        """Whether the images were asked for, and are there."""
        return vars(self).get("images") is not None

    def counts(self, points: Sequence[Point]) -> list[tuple[int, int] | None]:
        """Return (correct, seen) of each point on exactly this subset; None for missing ones.

        All points must have the same recovery. All counts are on the same images, those of the
        baseline's results or else this machine's, and in the precision with more known points.
        """
        found = self._counts([self._key(point) for point in points])
        if any(count is not None for count in found) or self.images is None:
            return found
        return self._counts([self.measurer().key(point) for point in points])

    def restrict_to_subset(self, result: Result) -> Result:
        """Restrict a result on the whole test set to this subset, unless it is on it already."""
        labels = self._labels_of(result)
        size = min(self.subset, len(labels))
        if result.key.subset == size:
            return result
        return result.on_subset(size, self.seed, labels)

    def evaluate_outside_subset(self, result: Result) -> Evaluation | None:
        """Evaluate a result on the images outside this subset; None if there are none."""
        labels = self._labels_of(result)
        return result.evaluate_outside(min(self.subset, len(labels)), self.seed, labels)

    def measurer(self, kind: type[Measurer] = Measurer) -> Measurer:
        """Return a measurer on this machine's images. Raises InputError if there are none."""
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
            None if self._evidence is None else self._evidence(images),
        )

    def _reading(self, result: Result, is_live: bool = False, is_nearest: bool = False) -> Reading:
        return Reading(result, self.reference(result), is_live, is_nearest)

    def reference(self, result: Result) -> Result | None:
        """Return the unpruned baseline on the same images and in the same precision, or None."""
        known = self.result(BASELINE)
        if known is not None and can_be_paired(known, result):
            return known
        found = self._find_in_same_precision(replace(result.key, spec=UNPRUNED, recovery=NOTHING))
        if found is None or found.key.subset == result.key.subset:
            return found
        return found.on_subset(result.key.subset, result.key.subset_seed, self._labels_of(result))

    def _find_in_same_precision(self, key: Key) -> Result | None:
        """Look up the best stored result in exactly the key's precision, as paired tests need."""
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
        """Return the key of a point on the images that the baseline was evaluated on."""
        data = self._checkpoint.data_fingerprint
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
            architecture=self._checkpoint.signature.identity,
            evidence=self.evidence_of(point.spec),
        )

    def evidence_of(self, spec: PruningSpec) -> str:
        """Return the identity of what a pruning needs of training images; "" if nothing."""
        if not needs_images(spec):
            return ""
        return kept_identity(self._checkpoint.network, self._checkpoint.fingerprint)
