"""What the pages know and measure, without a page."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from core.data.dataset import DataSet
from core.device import best_device, resolve_precision
from core.errors import InputError
from core.measuring.evaluation import evaluate_fully
from core.measuring.outcome import Evaluation
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.pruning import prune
from core.results import Result, ResultStore, StoreError
from core.specs.point import UNPRUNED, Point
from core.specs.pruning import PruningSpec
from core.sweeps.measurer import Measurer
from core.ui.bench import measuring
from core.ui.bench.measuring import NOTHING, RECALIBRATED, Measurements, can_be_paired
from core.ui.bench.resources import version_of
from core.ui.compare.curves import curve_frame
from core.ui.sidebar.settings import Settings

SPEC = PruningSpec("fine", 0.5)
SETTINGS = Settings(
    dataset="digits",
    baseline=None,
    subset=250,
    seed=0,
    ratio=0.5,
    match="ratio",
    recovery=NOTHING,
    weight_allocation="uniform",
    criterion="l1",
    channel_allocation="uniform",
    scope="all",
    channel_method="channel",
)


@pytest.fixture(autouse=True)
def nothing_cached() -> Iterator[None]:
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results.sqlite")


def measurements(store: ResultStore, trained: Checkpoint, **changes: object) -> Measurements:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return Measurements(store, version_of(trained.path), trained, settings)


def finished(here: Measurements, spec: PruningSpec = SPEC) -> Result:
    *_, last = here.measure(spec, NOTHING)
    assert isinstance(last, Result)
    return last


@pytest.fixture
def without_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> DataSet:
        raise InputError("The images are not here.")

    monkeypatch.setattr(measuring, "load_dataset", missing)


def test_an_accuracy_comes_batch_by_batch_and_is_stored_when_complete(
    store: ResultStore, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    *parts, result = measurements(store, trained).measure(SPEC, NOTHING)
    assert [part.seen for part in parts if isinstance(part, Evaluation)] == [100, 200, 250]
    assert isinstance(result, Result)
    monkeypatch.setattr(Measurer, "measure", None)  # nothing is evaluated a second time
    (again,) = measurements(store, trained).measure(SPEC, NOTHING)
    assert isinstance(again, Result)
    assert np.array_equal(again.predictions, result.predictions)


def test_another_process_has_what_was_measured_here(
    store: ResultStore, trained: Checkpoint, tmp_path: Path
) -> None:
    result = finished(measurements(store, trained))
    elsewhere = ResultStore(tmp_path / "results.sqlite")
    known = measurements(elsewhere, trained).known(SPEC, NOTHING)
    assert known is not None
    assert known.evaluation.correct == result.evaluation.correct


def test_recalibration_shows_its_progress_and_is_a_result_of_its_own(
    store: ResultStore, trained: Checkpoint
) -> None:
    here = measurements(store, trained)
    events = list(here.measure(SPEC, RECALIBRATED))
    assert isinstance(events[0], Recovering)
    assert here.known(SPEC, NOTHING) is None
    assert here.known(SPEC, RECALIBRATED) is not None


def test_a_dropped_evaluation_keeps_nothing_and_gives_its_turn_back(
    store: ResultStore, trained: Checkpoint
) -> None:
    here = measurements(store, trained)
    dropped = here.measure(SPEC, NOTHING)
    next(dropped)
    dropped.close()  # type: ignore[attr-defined]
    assert here.known(SPEC, NOTHING) is None
    assert finished(here).evaluation.is_complete


def test_a_result_that_cannot_be_kept_is_shown_all_the_same(
    store: ResultStore, trained: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(store, "put", full)
    assert finished(measurements(store, trained)).evaluation.is_complete


@pytest.mark.usefixtures("without_images")
def test_the_whole_test_set_is_preferred_and_needs_no_images(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    whole = Measurer(trained, digits)
    for spec in (SPEC, UNPRUNED):
        *_, result = whole.measure(Point(spec, NOTHING))
        assert isinstance(result, Result)
        store.put([result], whole.test_labels)
    here = measurements(store, trained, subset=100, seed=3)
    known = here.known(SPEC, NOTHING)
    assert known is not None
    model = prune(trained.model, SPEC).model
    expected = evaluate_fully(model, digits.test_images, digits.test_labels)
    assert known.evaluation.correct == expected.correct
    reference = here.reference(known)
    assert reference is not None
    assert reference.evaluation.seen == len(digits.test_labels)
    assert here.images is None
    assert here.no_images == "The images are not here."


def test_the_reference_is_on_the_very_images_of_a_live_result(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    whole = Measurer(trained, digits)
    *_, baseline = whole.measure(Point(UNPRUNED, NOTHING))
    assert isinstance(baseline, Result)
    store.put([baseline], whole.test_labels)
    here = measurements(store, trained, subset=120, seed=5)
    live = finished(here)
    reference = here.reference(live)
    assert reference is not None
    assert np.array_equal(reference.labels, live.labels)
    part = Measurer(trained, digits, 120, 5)
    *_, expected = part.measure(Point(UNPRUNED, NOTHING))
    assert isinstance(expected, Result)
    assert np.array_equal(reference.predictions, expected.predictions)


OWN = resolve_precision("auto", best_device())
FOREIGN = "fp32" if OWN == "bf16" else "bf16"


def put_whole(
    store: ResultStore, trained: Checkpoint, digits: DataSet, precision: str, *specs: PruningSpec
) -> None:
    """Keep results on the whole test set, as if they had shipped."""
    whole = Measurer(trained, digits, precision=precision)
    for spec in specs:
        *_, result = whole.measure(Point(spec, NOTHING))
        assert isinstance(result, Result)
        store.put([result], whole.test_labels)


def test_a_live_result_is_paired_with_the_baseline_in_its_own_precision_alone(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    put_whole(store, trained, digits, FOREIGN, UNPRUNED, PruningSpec("fine", 0.3))
    here = measurements(store, trained, subset=120, seed=5)
    live = finished(here)
    assert live.key.precision == OWN
    assert here.reference(live) is None
    assert here.lacks_reference(live)
    *_, measured = here.measure_here(UNPRUNED, NOTHING)
    reference = here.reference(live)
    assert reference is not None
    assert can_be_paired(reference, live)
    assert reference.key.precision == OWN
    assert isinstance(measured, Result)
    assert np.array_equal(reference.predictions, measured.predictions)
    assert not here.lacks_reference(live)

    shipped = here.known(PruningSpec("fine", 0.3), NOTHING)  # still preferred where it is alone
    assert shipped is not None
    shipped_reference = here.reference(shipped)
    assert shipped_reference is not None
    assert shipped_reference.key.precision == shipped.key.precision == FOREIGN


@pytest.mark.usefixtures("without_images")
def test_without_images_what_lacks_a_baseline_of_its_precision_stays_without(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    put_whole(store, trained, digits, FOREIGN, UNPRUNED)
    put_whole(store, trained, digits, OWN, SPEC)
    here = measurements(store, trained)
    known = here.known(SPEC, NOTHING)
    assert known is not None
    assert here.reference(known) is None
    assert not here.lacks_reference(known)


def test_a_scan_is_counted_in_one_precision(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    scanned = [PruningSpec("fine", 0.0, overrides=((name, 0.9),)) for name in ("conv1", "fc")]
    part = Measurer(trained, digits, 100, 0, FOREIGN)
    counts = []
    for spec in [UNPRUNED, *scanned]:
        *_, result = part.measure(Point(spec, NOTHING))
        assert isinstance(result, Result)
        store.put([result], part.test_labels)
        counts.append((result.evaluation.correct, 100))
    here = measurements(store, trained, subset=100)
    *_, own = here.measure_here(UNPRUNED, NOTHING)
    assert isinstance(own, Result)
    store.put([altered(own)], digits.test_labels.numpy().astype(np.uint8))
    assert here.counts([UNPRUNED, *scanned], NOTHING) == counts


def altered(result: Result) -> Result:
    """The same key with every answer wrong, to be told from a result in another precision."""
    return replace(result, predictions=(result.labels + 1) % 10)


def test_what_was_chosen_on_all_images_of_a_live_result_is_not_judged_on_it(
    store: ResultStore, trained: Checkpoint
) -> None:
    live = finished(measurements(store, trained, subset=100))
    assert measurements(store, trained, subset=200).apart_from_its_images(live) is None
    judged = measurements(store, trained, subset=60).apart_from_its_images(live)
    assert judged is not None
    assert judged.seen == 40


def test_live_results_on_another_copy_of_the_images_are_compared_with_its_own_baseline(
    store: ResultStore,
    trained: Checkpoint,
    digits: DataSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Measurer(trained, digits)
    for spec in (SPEC, UNPRUNED):
        *_, shipped = whole.measure(Point(spec, NOTHING))
        assert isinstance(shipped, Result)
        store.put([shipped], whole.test_labels)
    another = replace(digits, test_images=255 - digits.test_images)
    monkeypatch.setattr(measuring, "load_dataset", lambda _name: another)
    here = measurements(store, trained, subset=100)
    live = finished(here, PruningSpec("fine", 0.6))
    assert live.key.data == another.fingerprint
    assert here.reference(live) is None
    results = {spec: list(here.measure_here(spec, NOTHING))[-1] for spec in (UNPRUNED, SPEC)}
    reference = here.reference(live)
    assert reference is not None
    assert reference is not results[UNPRUNED]  # but read again, from the store
    part = Measurer(trained, another, 100, 0)
    for spec, found in ((UNPRUNED, reference), (SPEC, results[SPEC])):
        *_, expected = part.measure(Point(spec, NOTHING))
        assert isinstance(expected, Result)
        assert isinstance(found, Result)
        assert np.array_equal(found.predictions, expected.predictions)
    known = here.known(SPEC, NOTHING)
    assert known is not None
    assert known.key.data == digits.fingerprint  # what ships is still preferred where it is alone


@pytest.mark.usefixtures("without_images")
def test_the_nearest_measured_ratio_stands_in(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    whole = Measurer(trained, digits)
    for ratio in (0.2, 0.6):
        *_, result = whole.measure(Point(PruningSpec("fine", ratio), NOTHING))
        assert isinstance(result, Result)
        store.put([result], whole.test_labels)
    here = measurements(store, trained)
    assert here.known(SPEC, NOTHING) is None
    nearest = here.nearest(SPEC, NOTHING)
    assert nearest is not None
    assert nearest.key.spec.ratio == 0.6
    *_, unpruned = whole.measure(Point(UNPRUNED, NOTHING))
    assert isinstance(unpruned, Result)
    store.put([unpruned], whole.test_labels)
    assert here.nearest(PruningSpec("channel", 0.5), NOTHING) is None


def test_the_whole_test_set_is_the_same_for_every_seed(
    store: ResultStore, trained: Checkpoint, digits: DataSet
) -> None:
    whole = finished(measurements(store, trained, subset=10_000, seed=1), UNPRUNED)
    assert whole.evaluation.seen == len(digits.test_labels)
    assert measurements(store, trained, seed=2).known(UNPRUNED, NOTHING) is not None


def test_a_changed_checkpoint_shares_nothing(store: ResultStore, trained: Checkpoint) -> None:
    finished(measurements(store, trained))
    other = Checkpoint(trained.model, trained.dataset, trained.metadata, trained.path)
    other.__dict__["fingerprint"] = "another"
    assert measurements(store, other).known(SPEC, NOTHING) is None
    assert measurements(store, other).curve(SPEC, NOTHING) == []


def test_the_curve_frame_has_every_known_point_once(
    store: ResultStore, trained: Checkpoint
) -> None:
    here = measurements(store, trained, subset=100)
    finished(here, UNPRUNED)
    result = finished(here)
    frame = curve_frame(here, SETTINGS, result.cost)
    assert list(zip(frame["method"], frame["recovery"], frame["ratio"], strict=True)) == [
        ("Fine-grained", "as pruned", 0.0),
        ("Fine-grained", "as pruned", 0.5),
        ("Channels", "as pruned", 0.0),
    ]
    assert frame["correct"][1] == result.evaluation.correct
    assert (frame["low"] < frame["accuracy"]).all()
    assert (frame["accuracy"] < frame["high"]).all()
