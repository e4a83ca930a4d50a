"""Sweeps against pruning and evaluating by hand: what is finished is kept, and nothing is twice."""

import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from core.data.dataset import DataSet, subset_indices
from core.data.loading import load
from core.errors import InputError
from core.measuring.cost import compressed_bytes, cost
from core.measuring.evaluation import evaluate_fully
from core.measuring.outcome import Evaluation
from core.networks import checkpoint
from core.networks.batch_norm import Recovering
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.pruning import Pruned, Pruner, prune
from core.results import Result, ResultStore
from core.specs.grid import grid
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.sweeps.measurer import Measurer
from core.sweeps.sweep import Progress, sweep
from tests.conftest import Child
from tests.small_networks import copy_of_state, recovered, same_state

CPU = torch.device("cpu")
BOTH = ("none", "bn")
NETWORKS = grid(["fine", "channel"], [0.0, 0.3, 0.6])
A_LITTLE = Recovery("bn", 60)
POINTS = [replace(point, recovery=way) for point in NETWORKS for way in (Recovery(), A_LITTLE)]
DIFFERENT = 10  # keys among them: at ratio 0 both methods are the same
SUBSET = 120  # test images: a batch of 100 and a smaller one
SEED = 3

Start = Callable[[Callable[[Path], Iterable[Any]], Path], Child]


def new_measurer(trained: Checkpoint, digits: DataSet, **options: Any) -> Measurer:
    """On a subset, in fp32, unless told."""
    usual: dict[str, Any] = {"subset": SUBSET, "seed": SEED, "precision": "fp32", "device": CPU}
    return Measurer(trained, digits, **(usual | options))


@pytest.fixture(scope="module")
def measurer(trained: Checkpoint, digits: DataSet) -> Measurer:
    return new_measurer(trained, digits)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results.sqlite")


@dataclass(frozen=True)
class Swept:
    """A whole sweep of POINTS that nothing came between."""

    events: list[Progress]
    store: ResultStore
    pruned: list[PruningSpec]  # in order, each time that something was
    started: datetime
    ended: datetime

    @property
    def results(self) -> list[Result]:
        return results(self.events)


@pytest.fixture(scope="module")
def swept(trained: Checkpoint, digits: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    original = Pruner.prune
    pruned = []

    def noted(self: Pruner, spec: PruningSpec) -> Pruned:
        pruned.append(spec)
        return original(self, spec)

    store = ResultStore(tmp_path_factory.mktemp("swept") / "results.sqlite")
    started = datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pruner, "prune", noted)
        events = list(sweep(new_measurer(trained, digits), POINTS, store))
    return Swept(events, store, pruned, started, datetime.now(UTC))


def results(events: Iterable[Progress]) -> list[Result]:
    return [event.result for event in events if event.result is not None]


def known(store: ResultStore, measurer: Measurer, points: Sequence[Point] = POINTS) -> int:
    return sum(store.has(key) for key in {measurer.key(point) for point in points})


def assert_same_measurement(first: Result, second: Result) -> None:
    """All but where and when, bit for bit."""
    assert first.key == second.key
    assert first.predictions.tobytes() == second.predictions.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()
    assert first.loss_sum == second.loss_sum
    assert first.cost == second.cost
    assert first.compressed_bytes == second.compressed_bytes


# The grid


def test_a_grid_holds_every_combination_that_means_something_once() -> None:
    ratios = (0.1, 0.55)
    points = grid(
        ["fine", "channel", "channel-mask"],
        [*ratios, 0.1],
        criteria=["l1", "l2", "bn", "random", "l1"],
        allocations=["uniform", "global", "lamp", "erk"],
        scopes=["all", "internal"],
        recoveries=BOTH,
        seed=4,
    )
    expected = set()
    for ratio in ratios:
        for allocation in ("uniform", "global", "lamp", "erk"):
            expected.add(("fine", ratio, "l1", allocation, "all", 0))
            expected.add(("fine", ratio, "random", allocation, "all", 4))
        for allocation in ("uniform", "global"):
            for scope in ("all", "internal"):
                for criterion in ("l1", "l2", "bn"):
                    expected.add(("channel", ratio, criterion, allocation, scope, 0))
                expected.add(("channel", ratio, "random", allocation, scope, 4))
        for criterion in ("l1", "l2", "bn"):
            expected.add(("channel-mask", ratio, criterion, "uniform", "all", 0))
        expected.add(("channel-mask", ratio, "random", "uniform", "all", 4))
    found = [
        (*list(asdict(point.spec).values())[:6], point.recovery.method)
        for point in points
        if point.recovery == Recovery.named(point.recovery.method)
    ]
    assert len(found) == len(points) == 2 * len(expected)
    assert set(found) == {(*spec, recovery) for spec in expected for recovery in BOTH}
    assert all(point.spec == point.spec.canonical() for point in points)


def test_a_grid_goes_curve_by_curve_both_recoveries_side_by_side() -> None:
    points = grid(["channel", "fine"], [0.2, 0.1], criteria=["l2", "l1"], recoveries=BOTH)
    walked = [(point.spec.method, point.spec.criterion, point.spec.ratio) for point in points]
    assert walked[::2] == walked[1::2]
    assert walked[::2] == [
        ("channel", "l2", 0.2),
        ("channel", "l2", 0.1),
        ("channel", "l1", 0.2),
        ("channel", "l1", 0.1),
        ("fine", "l1", 0.2),
        ("fine", "l1", 0.1),
    ]
    assert [point.recovery.method for point in points] == [*BOTH] * 6


def test_a_grid_takes_the_defaults_unless_told() -> None:
    assert grid(["channel"], [0.5]) == [Point(PruningSpec("channel", 0.5), Recovery())]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ["magic"]}, "magic"),
        ({"ratios": [0.5, 1.5]}, "1.5"),
        ({"criteria": ["l3"]}, "l3"),
        ({"allocations": ["fair"]}, "fair"),
        ({"scopes": ["inner"]}, "inner"),
        ({"recoveries": ["prayer"]}, "prayer"),
        ({"seed": -1}, "-1"),
    ],
)
def test_a_grid_of_what_does_not_exist_is_refused(changes: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {"methods": ["channel"], "ratios": [0.5]}
    with pytest.raises(InputError, match=words):
        grid(**(usual | changes))


# Results


def by_hand(trained: Checkpoint, point: Point, digits: DataSet) -> Network:
    """The network of a point."""
    pruned = prune(trained.network, point.spec)
    return recovered(pruned, point.recovery, digits, "fp32", trained.network)


def measured(measurer: Measurer, point: Point) -> Result:
    *_, last = measurer.measure(point)
    assert isinstance(last, Result)
    return last


@pytest.mark.parametrize(
    ("method", "recovery", "subset"),
    [
        ("fine", Recovery(), SUBSET),
        ("fine", A_LITTLE, SUBSET),
        ("channel", Recovery(), SUBSET),
        ("channel", A_LITTLE, SUBSET),
        ("channel-mask", A_LITTLE, SUBSET),
        ("fine", Recovery(), None),
        ("channel", A_LITTLE, None),
    ],
    ids=lambda part: part.method if isinstance(part, Recovery) else str(part),
)
def test_a_result_is_that_of_pruning_and_evaluating_by_hand(
    trained: Checkpoint, digits: DataSet, method: str, recovery: Recovery, subset: int | None
) -> None:
    point = Point(PruningSpec(method, 0.4), recovery)
    result = measured(new_measurer(trained, digits, subset=subset), point)
    network = by_hand(trained, point, digits)
    expected = evaluate_fully(network, digits.test_images, digits.test_labels, "fp32", CPU)
    where = np.arange(500)
    if subset is not None:
        where = np.sort(subset_indices(digits.test_labels, subset, SEED).numpy())
    assert result.predictions.dtype == result.labels.dtype == np.uint8
    assert result.predictions.tolist() == expected.predictions[where].tolist()
    assert result.labels.tolist() == digits.test_labels[where].tolist()
    part = evaluate_fully(
        network, digits.test_images[where], digits.test_labels[where], "fp32", CPU
    )
    assert result.evaluation.correct == part.correct
    assert result.loss_sum == pytest.approx(part.loss_sum, rel=1e-4)
    assert result.cost == cost(network)
    assert result.compressed_bytes == compressed_bytes(network.module)


def test_results_differ_from_point_to_point(swept: Swept) -> None:
    """Else the comparisons above and below would show little."""
    assert len({result.predictions.tobytes() for result in swept.results}) == DIFFERENT


def test_a_key_names_all_that_decides(trained: Checkpoint, digits: DataSet) -> None:
    point = Point(PruningSpec("channel", 0.3, "l2", scope="internal"), Recovery("bn", 50, 7))
    key = new_measurer(trained, digits).key(point)
    assert (key.spec, key.recovery) == (point.spec, point.recovery)
    assert (key.checkpoint, key.data) == (trained.fingerprint, digits.fingerprint)
    assert (key.subset, key.subset_seed, key.precision) == (SUBSET, SEED, "fp32")
    assert new_measurer(trained, digits, precision="auto").key(point).precision in ("fp32", "bf16")


def test_the_whole_test_set_ignores_the_seed(trained: Checkpoint, digits: DataSet) -> None:
    point = POINTS[-1]
    whole = new_measurer(trained, digits, subset=None, seed=0)
    other = new_measurer(trained, digits, subset=None, seed=5)
    assert other.key(point) == whole.key(point)
    assert_same_measurement(measured(other, point), measured(whole, point))
    assert new_measurer(trained, digits, subset=500, seed=9).key(point) == whole.key(point)
    assert whole.key(point).subset == 500
    assert whole.test_labels.tolist() == digits.test_labels.tolist()


def test_the_origin_is_noted(swept: Swept) -> None:
    dates = [datetime.fromisoformat(result.origin.date) for result in swept.results]
    in_order = [swept.started.replace(microsecond=0), *dates, swept.ended]  # dates are in seconds
    assert in_order == sorted(in_order)
    for result in swept.results:
        assert result.origin.device == "cpu"
        assert torch.__version__ in result.origin.versions
        assert result.origin.file == ""


def test_the_time_noted_is_that_of_evaluating_and_not_of_a_slow_reader(
    trained: Checkpoint, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0

    class SlowMeasurer(Measurer):
        def _classify(
            self, network: Network, recovery: Recovery
        ) -> Generator[Evaluation, None, None]:
            nonlocal now
            for evaluation in super()._classify(network, recovery):
                now += 2
                yield evaluation
            now += 1

        def _recover(self, pruned: Pruned, point: Point) -> Generator[Recovering, None, Network]:
            nonlocal now
            now += 5
            yield Recovering(1, 1)
            return (yield from super()._recover(pruned, point))

    monkeypatch.setattr("core.sweeps.stopwatch.time", SimpleNamespace(perf_counter=lambda: now))
    evaluations = 0
    for event in SlowMeasurer(trained, digits, 250).measure(POINTS[0]):
        now += 3600  # the reader draws, or waits for its viewer
        if isinstance(event, Evaluation):
            evaluations += 1
        if isinstance(event, Result):
            assert event.origin.seconds == 2 * evaluations + 1 == 7
            assert event.origin.recovery_seconds == 5


def test_a_measurement_tells_how_far_it_is(measurer: Measurer) -> None:
    point = Point(PruningSpec("channel", 0.3), Recovery("bn", 500))
    events = list(measurer.measure(point))
    kinds = [type(event) for event in events]
    assert kinds == [Recovering, Recovering, Evaluation, Evaluation, Result]
    seen = [event.seen for event in events if isinstance(event, Evaluation)]
    assert seen == [100, SUBSET]
    raw = [type(event) for event in measurer.measure(replace(point, recovery=Recovery()))]
    assert raw == [Evaluation, Evaluation, Result]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subset": 9}, "9 images"),
        ({"subset": 501}, "501 images"),
        ({"seed": -1}, "-1"),
        ({"precision": "fp8"}, "fp8"),
    ],
)
def test_what_cannot_be_measured_on_is_refused_at_once(
    trained: Checkpoint, digits: DataSet, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        new_measurer(trained, digits, **changes)


def test_the_baseline_is_left_as_it_is(
    trained: Checkpoint, digits: DataSet, store: ResultStore
) -> None:
    before = copy_of_state(trained.network.module)
    for _ in sweep(new_measurer(trained, digits), POINTS[2:4], store):
        pass
    assert same_state(trained.network.module.state_dict(), before)
    assert not trained.network.module.training


# The sweep


def test_every_point_is_measured_once_and_kept(swept: Swept, measurer: Measurer) -> None:
    keys = list(dict.fromkeys(measurer.key(point) for point in POINTS))
    assert len(keys) == DIFFERENT
    assert [result.key for result in swept.results] == keys
    for result in swept.results:
        kept = swept.store.get(result.key)
        assert kept is not None
        assert_same_measurement(kept, result)


def test_each_network_is_pruned_once_for_all_recoveries(swept: Swept) -> None:
    assert len(swept.pruned) == DIFFERENT // 2
    assert len(set(swept.pruned)) == DIFFERENT // 2


def test_a_pruner_that_is_there_is_used(
    trained: Checkpoint, digits: DataSet, swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruner = Pruner(trained.network)
    monkeypatch.setattr(Pruner, "__init__", lambda *_: pytest.fail("another one was made"))
    result = measured(new_measurer(trained, digits, pruner=pruner), POINTS[2])
    assert_same_measurement(result, swept.results[2])


def test_progress_tells_what_is_finished(swept: Swept) -> None:
    finished = 0
    for event in swept.events:
        assert event.missing == DIFFERENT
        if event.result is not None:
            finished += 1
        assert event.finished == finished
        assert (event.seconds_left is None) == (finished == 0)
        assert event.seconds_left is None or event.seconds_left >= 0
    assert finished == DIFFERENT
    assert swept.events[-1].seconds_left == 0
    told = [event.point for event in swept.events if event.result is not None]
    assert told == [point for point in POINTS if point.spec.ratio or point.spec.method == "fine"]


@pytest.fixture
def clock(
    swept: Swept, store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Measurer, Sequence[Point]], list[Progress]]:
    """Sweeps with a clock on which every point takes ten seconds; the finished points' events."""
    now = SimpleNamespace(seconds=1000.0)

    def measure(self: Measurer, point: Point) -> Iterator[Evaluation | Result]:
        now.seconds += 4
        yield swept.results[0].evaluation
        now.seconds += 6
        yield replace(swept.results[0], key=self.key(point))

    monkeypatch.setattr(Measurer, "measure", measure)
    monkeypatch.setattr("core.sweeps.sweep.time", SimpleNamespace(perf_counter=lambda: now.seconds))
    return lambda measurer, points: [
        event for event in sweep(measurer, points, store) if event.result is not None
    ]


def test_the_time_left_follows_from_the_time_taken(
    measurer: Measurer, clock: Callable[[Measurer, Sequence[Point]], list[Progress]]
) -> None:
    alike = grid(["fine"], [step / 100 for step in range(20)])
    left = [event.seconds_left for event in clock(measurer, alike)]
    assert left == pytest.approx([10 * (19 - step) for step in range(20)], abs=1e-6)
    assert min(seconds for seconds in left if seconds is not None) >= 0


def test_narrower_networks_are_taken_to_be_faster(
    measurer: Measurer, clock: Callable[[Measurer, Sequence[Point]], list[Progress]]
) -> None:
    narrower = grid(["channel"], [0.1, 0.5, 0.9])
    first, second, _ = (event.seconds_left for event in clock(measurer, narrower))
    assert first is not None
    assert second is not None
    assert 0 < first < 20
    assert 0 < second < 10


def test_a_second_sweep_measures_nothing(
    swept: Swept, measurer: Measurer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Measurer, "measure", lambda *_: pytest.fail("it was measured again"))
    assert list(sweep(measurer, POINTS, swept.store)) == []


def test_same_keys_give_the_same_counts_in_a_fresh_store(
    trained: Checkpoint, digits: DataSet, swept: Swept, store: ResultStore
) -> None:
    again = results(sweep(new_measurer(trained, digits), list(reversed(POINTS)), store))
    assert len(again) == DIFFERENT
    by_key = {result.key: result for result in swept.results}
    for result in again:
        assert_same_measurement(result, by_key[result.key])


def test_only_what_is_missing_is_measured(
    measurer: Measurer, swept: Swept, store: ResultStore
) -> None:
    there = swept.results[1::2]
    store.put(there, measurer.test_labels)
    events = list(sweep(measurer, [*POINTS, *POINTS], store))
    assert {event.missing for event in events} == {DIFFERENT - len(there)}
    assert [r.key for r in results(events)] == [result.key for result in swept.results[::2]]


def test_another_precision_or_subset_is_another_measurement(
    trained: Checkpoint, digits: DataSet, swept: Swept
) -> None:
    point = Point(PruningSpec("channel", 0.3), Recovery())
    for changes in ({"precision": "bf16"}, {"subset": 50}, {"seed": SEED + 1}):
        other = new_measurer(trained, digits, **changes)
        (result,) = results(sweep(other, [point], swept.store))
        assert swept.store.has(other.key(point))
        assert result.key != new_measurer(trained, digits).key(point)


@pytest.mark.parametrize("events", [0, 1, 3, 4, 7, 9])
def test_a_dropped_sweep_keeps_what_was_finished(
    measurer: Measurer, swept: Swept, store: ResultStore, events: int
) -> None:
    steps = sweep(measurer, POINTS, store)
    finished = results([next(steps) for _ in range(events)])
    del steps
    assert known(store, measurer) == len(finished)
    for result in finished:
        kept = store.get(result.key)
        assert kept is not None
        assert_same_measurement(kept, result)
    first = next(sweep(measurer, POINTS, store))
    assert first.missing == DIFFERENT - len(finished)
    assert measurer.key(first.point) == swept.results[len(finished)].key


def test_a_ratio_that_is_kept_nowhere_is_refused_before_anything_is_measured(
    measurer: Measurer, store: ResultStore
) -> None:
    odd = grid(["channel"], [0.5, 0.125])
    with pytest.raises(InputError, match=r"hundredths.*0\.125"):
        next(sweep(measurer, odd, store))
    assert not store.has(measurer.key(odd[0]))


def test_events_may_be_drawn_from_different_threads(
    measurer: Measurer, swept: Swept, store: ResultStore
) -> None:
    steps = sweep(measurer, POINTS[:4], store)
    drawn = [next(steps)]
    thread = threading.Thread(target=lambda: drawn.extend(steps))
    thread.start()
    thread.join()
    assert torch.is_grad_enabled()
    found = results(drawn)
    assert len(found) == 4
    for result, expected in zip(found, swept.results, strict=False):
        assert_same_measurement(result, expected)


def test_of_two_sweeps_at_once_each_point_is_measured_by_one(
    trained: Checkpoint, digits: DataSet, store: ResultStore, swept: Swept
) -> None:
    sweeps = [sweep(new_measurer(trained, digits), POINTS, store) for _ in "ab"]
    events: list[list[Progress]] = [[], []]
    going = {0, 1}
    while going:  # each measures a point, in turn
        for number in sorted(going):
            for event in sweeps[number]:
                events[number].append(event)
                if event.result is not None:
                    break
            else:
                going.remove(number)
    mine, theirs = (results(each) for each in events)
    assert len(mine) > 1
    assert len(theirs) > 1
    assert {result.key for result in mine}.isdisjoint(result.key for result in theirs)
    assert len(mine) + len(theirs) == DIFFERENT
    assert all(each[-1].finished == each[-1].missing for each in events)
    for result in (*mine, *theirs):
        (expected,) = (each for each in swept.results if each.key == result.key)
        assert_same_measurement(result, expected)


def sweep_in(folder: Path) -> Iterator[tuple[int, bool]]:
    """The work of a child: how many points are finished, and whether one was just now."""
    loaded = checkpoint.load(folder / "trained.safetensors")
    steps = sweep(
        new_measurer(loaded, load("digits")), POINTS, ResultStore(folder / "results.sqlite")
    )
    for event in steps:
        yield event.finished, event.result is not None


def test_a_killed_sweep_is_taken_up_where_it_was(
    trained: Checkpoint, digits: DataSet, swept: Swept, tmp_path: Path, start: Start
) -> None:
    shutil.copy(trained.path, tmp_path / "trained.safetensors")
    child = start(sweep_in, tmp_path)
    for finished, just_now in child.events():
        if finished == 3 and not just_now:  # amid the fourth
            child.kill()
            break
    measurer = new_measurer(trained, digits)
    store = ResultStore(tmp_path / "results.sqlite")
    assert store.notes == []
    assert known(store, measurer) == 3
    rest = results(sweep(measurer, POINTS, store))
    assert [result.key for result in rest] == [result.key for result in swept.results[3:]]
    for expected in swept.results:
        kept = store.get(expected.key)
        assert kept is not None
        assert_same_measurement(kept, expected)
