"""What is known of a baseline, and what is measured of it, without a page."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.data.dataset import DataSet
from core.errors import InputError
from core.measuring.evaluation import evaluate_fully
from core.measuring.outcome import Evaluation
from core.measuring.statistics import mcnemar
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.pruning import Pruner, prune
from core.results import Result, ResultStore, StoreError
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import NOTHING, RECALIBRATED
from core.sweeps.job import Job
from core.sweeps.known import BASELINE, KnownResults
from core.sweeps.measurer import Measurer
from core.sweeps.reading import Reading

SPEC = PruningSpec("fine", 0.5)
POINT = Point(SPEC, NOTHING)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results.sqlite")


@pytest.fixture
def images(digits: DataSet) -> Callable[[], DataSet]:
    return lambda: digits


@pytest.fixture
def known(store: ResultStore, trained: Checkpoint, images: Callable[[], DataSet]) -> KnownResults:
    return known_results_of(store, trained, images)


def known_results_of(
    store: ResultStore,
    trained: Checkpoint,
    images: Callable[[], DataSet],
    subset: int = 250,
    seed: int = 0,
    precision: str = "auto",
) -> KnownResults:
    return KnownResults(
        store, trained, images, lambda: Pruner(trained.network), subset, seed, precision
    )


def no_images() -> DataSet:
    raise InputError("The images are not here.")


def finished(known: KnownResults, point: Point = POINT) -> Reading:
    *_, last = known.measure(point)
    assert isinstance(last, Reading)
    return last


def put_whole(store: ResultStore, trained: Checkpoint, digits: DataSet, *points: Point) -> None:
    """Keep results on the whole test set, as those that ship."""
    measurer = Measurer(trained, digits)
    for point in points:
        *_, result = measurer.measure(point)
        assert isinstance(result, Result)
        store.put([result], measurer.test_labels)


def test_an_accuracy_comes_batch_by_batch_and_is_stored_when_complete(
    known: KnownResults,
    store: ResultStore,
    trained: Checkpoint,
    images: Callable[[], DataSet],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *parts, reading = known.measure(POINT)
    assert [part.seen for part in parts if isinstance(part, Evaluation)] == [100, 200, 250]
    assert isinstance(reading, Reading)
    assert reading.is_live
    monkeypatch.setattr(Measurer, "measure", None)  # nothing is evaluated a second time
    (again,) = known_results_of(store, trained, images).measure(POINT)
    assert isinstance(again, Reading)
    assert not again.is_live
    assert np.array_equal(again.result.predictions, reading.result.predictions)


def test_another_process_has_what_was_measured_here(
    known: KnownResults, trained: Checkpoint, images: Callable[[], DataSet], tmp_path: Path
) -> None:
    measured = finished(known)
    elsewhere = known_results_of(ResultStore(tmp_path / "results.sqlite"), trained, images)
    found = elsewhere.result(POINT)
    assert found is not None
    assert found.evaluation.correct == measured.result.evaluation.correct


def test_recalibration_shows_its_progress_and_is_a_result_of_its_own(known: KnownResults) -> None:
    events = list(known.measure(Point(SPEC, RECALIBRATED)))
    assert isinstance(events[0], Recovering)
    assert known.read(POINT) is None
    assert known.read(Point(SPEC, RECALIBRATED)) is not None


def test_a_glance_loads_no_images(store: ResultStore, trained: Checkpoint, digits: DataSet) -> None:
    """Results on another copy of the images are found once these are there."""
    other = replace(
        digits, test_images=digits.test_images.flip(0), test_labels=digits.test_labels.flip(0)
    )
    put_whole(store, trained, other, POINT, Point(replace(SPEC, ratio=0.6), NOTHING))
    loaded = []

    def load() -> DataSet:
        loaded.append(other)
        return other

    known = known_results_of(store, trained, load, subset=len(digits.test_labels))
    assert known.glance(POINT) is None
    assert known.glance_at_curve(POINT) == []
    assert loaded == []
    assert known.result(POINT) is not None
    assert len(loaded) == 1
    assert known.glance(POINT) is not None
    assert [point.ratio for point in known.glance_at_curve(POINT)] == [0.5, 0.6]
    assert [point.ratio for point in known.curve(POINT)] == [0.5, 0.6]


def test_a_dropped_evaluation_keeps_nothing(known: KnownResults) -> None:
    dropped = known.measure(POINT)
    next(dropped)
    dropped.close()  # type: ignore[attr-defined]
    assert known.read(POINT) is None
    assert finished(known).result.evaluation.is_complete


def test_a_result_that_cannot_be_kept_is_shown_all_the_same(
    known: KnownResults, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(store, "put", full)
    assert finished(known).result.evaluation.is_complete


def test_what_another_one_measured_while_this_one_waited_is_not_measured_again(
    known: KnownResults,
    store: ResultStore,
    trained: Checkpoint,
    images: Callable[[], DataSet],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def after_another() -> Iterator[None]:
        finished(known_results_of(store, trained, images))
        monkeypatch.setattr(Measurer, "measure", None)
        yield

    known.turn = after_another
    (reading,) = known.measure(POINT)
    assert isinstance(reading, Reading)
    assert not reading.is_live


def test_the_whole_test_set_is_preferred_and_needs_no_images(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    put_whole(store, trained, digits, POINT, BASELINE)
    known = known_results_of(store, trained, no_images, subset=100, seed=3)
    reading = known.read(POINT)
    assert reading is not None
    network = prune(trained.network, SPEC).network
    expected = evaluate_fully(network, digits.test_images, digits.test_labels)
    assert reading.result.evaluation.correct == expected.correct
    assert reading.reference is not None
    assert reading.reference.evaluation.seen == len(digits.test_labels)
    assert known.images is None
    assert known.missing_images_reason == "The images are not here."


def test_the_reference_is_on_the_very_images_of_a_live_result(
    store: ResultStore, trained: Checkpoint, digits: DataSet, images: Callable[[], DataSet]
) -> None:
    put_whole(store, trained, digits, BASELINE)
    live = finished(known_results_of(store, trained, images, subset=120, seed=5))
    assert live.reference is not None
    assert np.array_equal(live.reference.labels, live.result.labels)
    *_, expected = Measurer(trained, digits, 120, 5).measure(BASELINE)
    assert isinstance(expected, Result)
    assert np.array_equal(live.reference.predictions, expected.predictions)
    assert live.test == mcnemar(expected.evaluation.is_right, live.result.evaluation.is_right)


def test_results_of_two_precisions_are_not_paired(
    store: ResultStore, trained: Checkpoint, images: Callable[[], DataSet]
) -> None:
    finished(known_results_of(store, trained, images, subset=500, precision="bf16"), BASELINE)
    known = known_results_of(store, trained, images, subset=100, precision="fp32")
    live = finished(known)
    assert live.result.key.precision == "fp32"
    assert live.reference is None
    assert live.test is None
    *_, baseline = known.measure_on_local_images(BASELINE)  # what is known in bf16 does not do
    assert isinstance(baseline, Reading)
    assert baseline.result.key.precision == "fp32"
    again = known.read(POINT)
    assert again is not None
    assert again.reference is not None
    assert again.reference.key.precision == "fp32"


def test_what_was_chosen_on_all_images_of_a_live_result_is_not_judged_on_it(
    store: ResultStore, trained: Checkpoint, images: Callable[[], DataSet]
) -> None:
    known = known_results_of(store, trained, images, subset=100)
    live = finished(known).result
    assert known.on_subset(200, 0).evaluate_outside_subset(live) is None
    judged = known.on_subset(60, 0).evaluate_outside_subset(live)
    assert judged is not None
    assert judged.seen == 40


def test_live_results_on_another_copy_of_the_images_are_compared_with_its_own_baseline(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    put_whole(store, trained, digits, POINT, BASELINE)
    another = replace(digits, test_images=255 - digits.test_images)
    known = known_results_of(store, trained, lambda: another, subset=100)
    sparser = Point(PruningSpec("fine", 0.6), NOTHING)
    live = finished(known, sparser)
    assert live.result.key.data == another.fingerprint
    assert live.reference is None
    measured = {
        point: list(known.measure_on_local_images(point))[-1] for point in (BASELINE, POINT)
    }
    again = known.read(sparser)
    assert again is not None
    assert again.reference is not None
    part = Measurer(trained, another, 100, 0)
    for point, reading in measured.items():
        *_, expected = part.measure(point)
        assert isinstance(expected, Result)
        assert isinstance(reading, Reading)
        assert np.array_equal(reading.result.predictions, expected.predictions)
    *_, expected = part.measure(BASELINE)
    assert isinstance(expected, Result)
    assert np.array_equal(again.reference.predictions, expected.predictions)
    shown = known.result(POINT)
    assert shown is not None
    assert shown.key.data == digits.fingerprint  # what ships is still preferred where it is alone


def test_the_nearest_measured_ratio_stands_in(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    points = [Point(PruningSpec("fine", ratio), NOTHING) for ratio in (0.2, 0.6)]
    put_whole(store, trained, digits, *points)
    known = known_results_of(store, trained, no_images)
    assert known.read(POINT) is None
    nearest = known.read_nearest(POINT)
    assert nearest is not None
    assert nearest.is_nearest
    assert nearest.result.key.spec.ratio == 0.6
    put_whole(store, trained, digits, BASELINE)
    assert known.read_nearest(Point(PruningSpec("channel", 0.5), NOTHING)) is None


def test_without_images_measuring_is_refused_in_a_sentence(
    store: ResultStore, trained: Checkpoint
) -> None:
    with pytest.raises(InputError, match="The images are not here"):
        next(known_results_of(store, trained, no_images).measure(POINT))


def test_the_whole_test_set_is_the_same_for_every_seed(
    store: ResultStore, trained: Checkpoint, digits: DataSet, images: Callable[[], DataSet]
) -> None:
    whole = finished(known_results_of(store, trained, images, subset=10_000, seed=1), BASELINE)
    assert whole.result.evaluation.seen == len(digits.test_labels)
    assert known_results_of(store, trained, images, seed=2).result(BASELINE) is not None


def test_a_changed_checkpoint_shares_nothing(
    known: KnownResults, store: ResultStore, trained: Checkpoint, images: Callable[[], DataSet]
) -> None:
    finished(known)
    other = replace(trained)
    other.__dict__["fingerprint"] = "another"
    assert known_results_of(store, other, images).read(POINT) is None
    assert known_results_of(store, other, images).curve(POINT) == []


def test_a_job_can_be_pickled_and_measures_what_its_parts_do(
    trained: Checkpoint, digits: DataSet
) -> None:
    job = Job(trained.path, "digits", subset=50, seed=2, precision="fp32")
    measurer = pickle.loads(pickle.dumps(job)).measurer(Measurer)  # noqa: S301, of our own
    *_, result = measurer.measure(POINT)
    *_, expected = Measurer(trained, digits, 50, 2, "fp32").measure(POINT)
    assert isinstance(expected, Result)
    assert result.key == expected.key
    assert np.array_equal(result.predictions, expected.predictions)
