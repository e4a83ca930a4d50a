"""Accuracies for the pages: from the store, else evaluated live, one at a time, and then stored."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

import numpy as np

from core.data.dataset import DataSet
from core.device import best_device, resolve_precision
from core.errors import InputError
from core.measuring.outcome import Cost, Evaluation
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.results import CurvePoint, Key, Result, ResultStore, StoreError
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import PRECISIONS, RECOVERIES
from core.studies.sensitivity import ScanMeasurer
from core.sweeps.measurer import Measurer
from core.sweeps.sweep import Progress, sweep
from core.ui.bench.resources import FileVersion, load_dataset, load_pruner
from core.ui.bench.turns import my_turn
from core.ui.sidebar.settings import Settings

NOTHING, RECALIBRATED = Recovery(), Recovery.named("bn")
RECOVERY_OF = {each.label: Recovery.named(name) for name, each in RECOVERIES.items()}


class Measurements:
    """What is known of one baseline's prunings, and the means to find out the rest.

    The store is asked first: for the images that the baseline was measured on when it was trained,
    which need not be on this machine. Only what it lacks needs the images, and loads them.
    """

    def __init__(
        self, store: ResultStore, file: FileVersion, loaded: Checkpoint, settings: Settings
    ):
        self._store = store
        self._file = file
        self._checkpoint = loaded
        self._settings = settings
        self._found: dict[Point, Result] = {}  # asked for several times in a run
        self.no_images = ""  # why there are none, once they were asked for and `images` is None

    @cached_property
    def images(self) -> DataSet | None:
        try:
            return load_dataset(self._settings.dataset)
        except InputError as error:
            self.no_images = str(error)
            return None

    def known(self, spec: PruningSpec, recovery: Recovery) -> Result | None:
        """The best result there is, on the whole test set if there is one."""
        point = Point(spec, recovery)
        if point not in self._found:
            found = self._store.find(self._key(point, self._shipped_data))
            if found is None and self._measurer is not None:
                found = self._store.find(self._measurer.key(point))
            if found is None:
                return None
            self._found[point] = found
        return self._found[point]

    def reference(self, result: Result) -> Result | None:
        """The unpruned baseline that `result` can be paired with; None where it is not known."""
        known = self.known(UNPRUNED, NOTHING)
        if known is not None and can_be_paired(known, result):
            return known
        found = self._in_precision(replace(result.key, spec=UNPRUNED, recovery=NOTHING))
        labels = self._store.test_labels(result.key.data)
        if found is None or labels is None or found.key.subset == result.key.subset:
            return found
        return found.on_subset(result.key.subset, result.key.subset_seed, labels)

    def lacks_reference(self, result: Result) -> bool:
        """Whether `reference` is not known yet, but `measure_here` would make it so."""
        if self.reference(result) is not None or self._measurer is None:
            return False
        own = self._measurer.key(Point(UNPRUNED, NOTHING))
        return own == replace(result.key, spec=UNPRUNED, recovery=NOTHING)

    def curve(self, spec: PruningSpec, recovery: Recovery) -> list[CurvePoint]:
        """What is known at every ratio of the spec's settings."""
        point = Point(replace(spec, ratio=1.0), recovery)  # any ratio but 0, where methods are one
        shipped = self._store.curve(self._key(point, self._shipped_data))
        if len(shipped) > 1 or self._measurer is None:  # the unpruned network is on every curve
            return shipped
        return self._store.curve(self._measurer.key(point)) or shipped

    def counts(
        self, specs: Sequence[PruningSpec], recovery: Recovery
    ) -> list[tuple[int, int] | None]:
        """Correct and seen by each pruning, where it was measured on the settings' very subset.

        All on the same images, those of the baseline's results or else this machine's, and in the
        same precision, the one that more is known in.
        """
        points = [Point(spec, recovery) for spec in specs]
        found = self._counts([self._key(point, self._shipped_data) for point in points])
        if any(count is not None for count in found) or self._measurer is None:
            return found
        return self._counts([self._measurer.key(point) for point in points])

    def _counts(self, keys: Sequence[Key]) -> list[tuple[int, int] | None]:
        asked = keys[0].precision
        precisions = sorted(PRECISIONS, key=lambda each: each != asked)  # the first of equals wins
        found = [
            self._counts_in([replace(key, precision=precision) for key in keys])
            for precision in precisions
        ]
        return max(found, key=lambda counts: sum(each is not None for each in counts))

    def _counts_in(self, keys: Sequence[Key]) -> list[tuple[int, int] | None]:
        known = self._store.counts(keys[0])
        correct = [known.get((key.settings, key.hundredths)) for key in keys]
        return [None if each is None else (each, keys[0].subset) for each in correct]

    def on_its_images(self, result: Result) -> Result:
        """A result on the settings' subset, or cut down to it from the whole test set."""
        size = min(self._settings.subset, self._images_of(result))
        if result.key.subset == size:
            return result
        return result.on_subset(size, self._settings.seed, self._labels_of(result))

    def apart_from_its_images(self, result: Result) -> Evaluation | None:
        """A result on those images that are not in the settings' subset; None for no image."""
        size = min(self._settings.subset, self._images_of(result))
        return result.apart_from(size, self._settings.seed, self._labels_of(result))

    def _labels_of(self, result: Result) -> np.ndarray:
        labels = self._store.test_labels(result.key.data)
        assert labels is not None  # every stored result has them
        return labels

    def _images_of(self, result: Result) -> int:
        return len(self._labels_of(result))

    def scan(self, points: Sequence[Point]) -> Iterator[Progress]:
        """Measure and keep what is missing of the points, on the settings' very subset.

        Points should come in the network's order. Needs the images. Raises StoreError where nothing
        can be kept.
        """
        assert self.images is not None
        measurer = self._new_measurer(ScanMeasurer, self.images)
        yield from sweep(measurer, points, self._store, my_turn)

    def nearest(self, spec: PruningSpec, recovery: Recovery) -> Result | None:
        """The result at the ratio nearest to the spec's that is known; never an interpolation.

        None where nothing but the unpruned network is, which is on every curve.
        """
        points = self.curve(spec, recovery)
        if not any(point.ratio for point in points):
            return None
        ratio = min((point.ratio for point in points), key=lambda known: abs(known - spec.ratio))
        return self.known(replace(spec, ratio=ratio), recovery)

    def measure(
        self, spec: PruningSpec, recovery: Recovery
    ) -> Iterator[Recovering | Evaluation | Result]:
        """Yield progress and last the result; a known one at once. Needs the images."""
        if known := self.known(spec, recovery):
            yield known
        else:
            yield from self.measure_here(spec, recovery)

    def measure_here(
        self, spec: PruningSpec, recovery: Recovery
    ) -> Iterator[Recovering | Evaluation | Result]:
        """As `measure`, but known is only what is on this machine's images, in its precision.

        For all that is compared with a live result: shipped ones may be on another copy of the
        data set, or in another precision.
        """
        assert self._measurer is not None
        point = Point(spec, recovery)
        if known := self._known_here(point):
            yield known
            return
        with my_turn():
            if known := self._known_here(point):  # measured by another viewer meanwhile
                yield known
                return
            for event in self._measurer.measure(point):
                if isinstance(event, Result):
                    with suppress(StoreError):  # shown all the same; measured again next time
                        self._store.put([event], self._measurer.test_labels)
                yield event

    def _known_here(self, point: Point) -> Result | None:
        """What the store knows on this machine's images; nothing where there are none."""
        measurer = self._measurer
        return None if measurer is None else self._in_precision(measurer.key(point))

    def _in_precision(self, key: Key) -> Result | None:
        """As `ResultStore.find`, but in the precision of `key` alone."""
        found = self._store.find(key)  # which may prefer more images in the other precision
        return (
            found if found is None or found.key.precision == key.precision else self._store.get(key)
        )

    @property
    def _shipped_data(self) -> str:
        return str(self._checkpoint.metadata["data"]["fingerprint"])

    @cached_property
    def _measurer(self) -> Measurer | None:
        return None if self.images is None else self._new_measurer(Measurer, self.images)

    def _new_measurer(self, kind: type[Measurer], images: DataSet) -> Measurer:
        return kind(
            self._checkpoint,
            images,
            min(self._settings.subset, len(images.test_labels)),
            self._settings.seed,
            pruner=load_pruner(self._file),
        )

    def _key(self, point: Point, data: str) -> Key:
        labels = self._store.test_labels(data)
        whole = labels is not None and self._settings.subset >= len(labels)
        return Key(
            checkpoint=self._checkpoint.fingerprint,
            spec=point.spec,
            recovery=point.recovery,
            data=data,
            subset=len(labels) if labels is not None and whole else self._settings.subset,
            subset_seed=0 if whole else self._settings.seed,
            precision=resolve_precision("auto", best_device()),
        )


def can_be_paired(one: Result, other: Result) -> bool:
    """Whether a paired test can compare the two: on the same images and in the same precision."""
    return all(
        getattr(one.key, name) == getattr(other.key, name)
        for name in ("data", "subset", "subset_seed", "precision")
    )


def removed(pruned: Cost | CurvePoint, baseline: Cost) -> dict[str, float]:
    """The parts of the baseline that are gone, by their columns in a curve's frame."""
    return {
        "parameters_removed": 1 - pruned.nonzero / baseline.nonzero,
        "macs_removed": 1 - pruned.macs / baseline.macs,
    }
