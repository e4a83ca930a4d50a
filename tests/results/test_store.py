"""What is kept comes back, and a question gets the best answer there is, never another's."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import InputError
from core.results import Key, Result, ResultStore, StoreError, compact, open_store
from core.results.rows import parameters_of
from core.results.store import COVERS_SUBSET
from core.specs.recovery import Recovery
from tests.results.conftest import (
    LABELS,
    SHIPPED,
    WHOLE,
    differences,
    key_of,
    positions_of,
    put,
    result_of,
    ship,
)


def rows_in(path: Path, sql: str = "SELECT * FROM results") -> list[Any]:
    """Read without the store."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


# Coming back

KEPT = [
    result_of(key_of()),
    result_of(key_of("fine", 0.0)),
    result_of(key_of("channel", 0.29), compressed_bytes=None),
    result_of(key_of("channel-mask", 1.0, precision="fp32"), loss_sum=float("inf")),
    result_of(key_of(subset=100, subset_seed=2**63 - 1)),
    result_of(key_of(recovery=Recovery("bn", 500, 3), algorithm=7, checkpoint="other")),
    result_of(
        key_of(
            "channel",
            spec={"criterion": "random", "allocation": "global", "scope": "internal", "seed": 5},
        )
    ),
]


@pytest.mark.parametrize("result", KEPT, ids=range(len(KEPT)))
def test_every_field_comes_back(store: ResultStore, path: Path, result: Result) -> None:
    put(store, result)
    for reader in (store, ResultStore(path)):
        assert reader.has(result.key)
        assert differences(reader.get(result.key), result) == []
        assert differences(reader.find(result.key), result) == []


def test_origins_file_comes_back(store: ResultStore) -> None:
    result = result_of(key_of())
    result = replace(result, origin=replace(result.origin, file="some.results.csv"))
    put(store, result)
    assert differences(store.get(result.key), result) == []


def test_all_of_them_come_back_when_kept_at_once(store: ResultStore, path: Path) -> None:
    put(store, *KEPT)
    assert len(rows_in(path)) == len(KEPT)
    for result in KEPT:
        assert differences(store.get(result.key), result) == []


def test_the_columns_say_what_the_results_say(store: ResultStore, path: Path) -> None:
    """Read with SQL alone, as anyone may."""
    put(store, *KEPT)
    found = rows_in(path, "SELECT hundredths, subset, precision, correct, nonzero FROM results")
    assert sorted(found) == sorted(
        (
            round(100 * result.key.spec.ratio),
            len(result.labels),
            result.key.precision,
            sum(int(a == b) for a, b in zip(result.predictions, result.labels, strict=True)),
            result.cost.nonzero,
        )
        for result in KEPT
    )


def test_the_whole_test_sets_labels_come_back(store: ResultStore) -> None:
    assert store.test_labels(key_of().data) is None
    put(store, result_of(key_of(subset=10)))
    found = store.test_labels(key_of().data)
    assert found is not None
    assert found.dtype == np.uint8
    assert found.tolist() == LABELS.tolist()
    assert store.test_labels("another") is None


def test_a_result_of_the_same_key_is_replaced(store: ResultStore, path: Path) -> None:
    first, second = result_of(key_of(), 1), result_of(key_of(), 2, compressed_bytes=None)
    other = result_of(key_of("channel"))
    put(store, first, other)
    put(store, second)
    assert len(rows_in(path)) == 2
    assert differences(store.get(key_of()), second) == []
    assert differences(store.get(other.key), other) == []
    assert "predictions" in differences(second, first)


def test_of_results_kept_at_once_all_are_kept_or_none(store: ResultStore, path: Path) -> None:
    put(store, result_of(key_of(), 1))
    bad = result_of(key_of("fine", 0.9))
    bad = replace(bad, origin=replace(bad.origin, device=None))  # type: ignore[arg-type]
    with pytest.raises(StoreError) as caught:
        put(store, result_of(key_of(), 2), result_of(key_of("fine", 0.8)), bad)
    assert str(path) in str(caught.value)
    assert len(rows_in(path)) == 1
    assert differences(store.get(key_of()), result_of(key_of(), 1)) == []


def test_a_full_disk_is_said_and_costs_nothing_that_was_there(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, result_of(key_of()))
    connect = sqlite3.connect

    def with_few_pages(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.execute("PRAGMA max_page_count = 10")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", with_few_pages)
        with pytest.raises(StoreError, match="is full"):
            put(store, *(result_of(key_of("fine", step / 100)) for step in range(90)))
    assert differences(store.get(key_of()), result_of(key_of())) == []
    assert not store.has(key_of("fine", 0.01))
    assert [note.endswith("nothing new is kept.") for note in store.notes] == [True]
    store.refresh()
    assert store.notes == []


def test_nothing_can_be_kept(store: ResultStore, path: Path) -> None:
    store.put([], LABELS)
    assert rows_in(path) == []


def test_a_new_store_is_empty_and_has_nothing_to_say(store: ResultStore) -> None:
    assert store.find(key_of()) is None
    assert store.get(key_of()) is None
    assert not store.has(key_of())
    assert store.curve(key_of()) == []
    assert store.notes == []


def test_the_store_of_a_folder_has_what_is_there(tmp_path: Path) -> None:
    ship(tmp_path)
    store = open_store(tmp_path)
    assert store.has(SHIPPED[0].key)
    put(store, result_of(key_of()))
    assert len(rows_in(tmp_path / "local" / "results.sqlite")) == len(SHIPPED) + 1


# Finding

Kind = tuple[int, int, str]  # subset, seed, precision

ASKED: Kind = (100, 3, "bf16")
OTHER: Kind = (100, 3, "fp32")
ALL: Kind = (WHOLE, 0, "bf16")
ALL_OTHER: Kind = (WHOLE, 0, "fp32")
LARGER: Kind = (200, 3, "bf16")
LARGER_OTHER: Kind = (200, 3, "fp32")
SMALLER: Kind = (99, 3, "bf16")
OTHER_SEED: Kind = (100, 4, "bf16")
LARGER_OTHER_SEED: Kind = (299, 4, "bf16")


def kind_of(key: Key) -> Kind:
    return key.subset, key.subset_seed, key.precision


def key_of_kind(kind: Kind, method: str = "channel", ratio: float = 0.3, **changes: Any) -> Key:
    subset, seed, precision = kind
    return key_of(method, ratio, subset=subset, subset_seed=seed, precision=precision, **changes)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("asked", "kept", "best"),
    [
        (ASKED, [ASKED], ASKED),
        (ASKED, [ASKED, ALL], ALL),
        (ASKED, [ASKED, ALL_OTHER], ALL_OTHER),
        (ASKED, [ALL, ALL_OTHER], ALL),
        (ASKED, [ASKED, OTHER], ASKED),
        (ASKED, [OTHER], OTHER),
        (ASKED, [LARGER], LARGER),
        (ASKED, [LARGER_OTHER, OTHER], LARGER_OTHER),
        (ASKED, [LARGER, LARGER_OTHER], LARGER),
        (ASKED, [SMALLER], None),
        (ASKED, [OTHER_SEED], None),
        (ASKED, [LARGER_OTHER_SEED], None),
        (ASKED, [ASKED, SMALLER, LARGER_OTHER_SEED], ASKED),
        (OTHER, [ASKED, OTHER, OTHER_SEED], OTHER),
        (ALL, [ALL_OTHER], ALL_OTHER),
        (ALL, [ALL, ALL_OTHER], ALL),
        (ALL_OTHER, [ALL, ALL_OTHER], ALL_OTHER),
        (ALL, [LARGER, (299, 0, "bf16")], None),
    ],
)
def test_the_best_answer(
    store: ResultStore, asked: Kind, kept: list[Kind], best: Kind | None, backwards: bool
) -> None:
    for kind in reversed(kept) if backwards else kept:
        put(store, result_of(key_of_kind(kind)))
    found = store.find(key_of_kind(asked))
    assert (None if found is None else kind_of(found.key)) == best
    points = store.curve(key_of_kind(asked))
    assert [(point.seen, point.precision) for point in points] == (
        [] if best is None else [(best[0], best[2])]
    )
    if best is not None:
        assert differences(found, result_of(key_of_kind(best))) == []


@pytest.mark.parametrize(
    "other",
    [
        {"checkpoint": "another"},
        {"architecture": "another"},
        {"data": "another"},
        {"algorithm": 2},
        {"recovery": Recovery.named("bn")},
        {"recovery": Recovery("bn", 2000, 1), "asked": {"recovery": Recovery("bn", 2000)}},
        {"method": "fine"},
        {"method": "channel-mask"},
        {"spec": {"criterion": "l2"}},
        {"spec": {"allocation": "global"}},
        {"spec": {"scope": "internal"}},
        {
            "spec": {"criterion": "random", "seed": 1},
            "asked": {"spec": {"criterion": "random", "seed": 2}},
        },
    ],
    ids=str,
)
def test_the_result_of_something_else_is_no_answer(
    store: ResultStore, other: dict[str, Any]
) -> None:
    changes = dict(other)
    asked = key_of_kind(ALL, **changes.pop("asked", {}))
    another = key_of_kind(ALL, **changes)
    put(store, result_of(key_of(spec={"criterion": "random"})))  # so that the labels are known
    put(store, result_of(another))
    assert store.find(asked) is None
    assert store.curve(asked) == []
    assert store.get(asked) is None
    assert not store.has(asked)
    assert store.find(another) is not None


def test_the_result_at_another_ratio_is_no_answer(store: ResultStore) -> None:
    put(store, result_of(key_of("channel", 0.3)))
    assert store.find(key_of("channel", 0.31)) is None
    assert store.find(key_of("channel", 0.29)) is None


@pytest.mark.parametrize("kind", [ALL, ALL_OTHER, LARGER, OTHER, SMALLER, OTHER_SEED])
def test_only_the_very_same_key_is_had_and_got(store: ResultStore, kind: Kind) -> None:
    put(store, result_of(key_of_kind(kind)))
    assert not store.has(key_of_kind(ASKED))
    assert store.get(key_of_kind(ASKED)) is None
    put(store, result_of(key_of_kind(ASKED)))
    assert store.has(key_of_kind(ASKED))
    assert differences(store.get(key_of_kind(ASKED)), result_of(key_of_kind(ASKED))) == []


def test_the_unpruned_network_is_found_by_every_method(store: ResultStore) -> None:
    put(store, result_of(key_of("fine", 0.0)))
    for method in ("fine", "channel", "channel-mask"):
        found = store.find(key_of(method, 0.0, spec={"criterion": "random", "seed": 1}))
        assert differences(found, result_of(key_of("fine", 0.0))) == []


def test_a_question_searches_the_index_by_all_that_it_gives_exactly(
    store: ResultStore,
) -> None:
    with closing(sqlite3.connect(store.path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM results "
            f"WHERE {COVERS_SUBSET} AND hundredths = :hundredths",
            parameters_of(key_of(), whole=WHOLE),
        ).fetchall()
    searched = plan[0][3]
    for name in ("checkpoint", "architecture", "data", "settings", "recovery", "hundredths"):
        assert f"{name}=?" in searched


# Curves


RATIOS = (0.0, 0.05, 0.1, 0.29, 0.5, 1.0)


def some_of_everything(seed: int) -> list[Result]:
    """A third of all results of two methods and two recoveries at six ratios, shuffled."""
    rng = np.random.default_rng(seed)
    keys = {
        key_of_kind(kind, method, ratio, recovery=Recovery.named(recovery))
        for kind in (ASKED, OTHER, ALL, ALL_OTHER, LARGER, LARGER_OTHER, SMALLER, OTHER_SEED)
        for method in ("fine", "channel")
        for recovery in ("none", "bn")
        for ratio in RATIOS
    }
    kept = [key for key in sorted(keys, key=repr) if rng.random() < 1 / 3]
    return [result_of(kept[place]) for place in rng.permutation(len(kept))]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_curve_is_the_best_answer_at_every_ratio_ascending(store: ResultStore, seed: int) -> None:
    kept = some_of_everything(seed)
    put(store, *kept)
    points = 0
    for asked in (ASKED, ALL_OTHER):
        for method, recovery in (("fine", "none"), ("channel", "none"), ("channel", "bn")):
            expected = []
            for ratio in RATIOS:
                key = key_of_kind(asked, method, ratio, recovery=Recovery.named(recovery))
                answers = [
                    result
                    for result in kept
                    if (result.key.spec, result.key.recovery) == (key.spec, key.recovery)
                    and (
                        result.key.subset == WHOLE
                        or (result.key.subset >= asked[0] and result.key.subset_seed == asked[1])
                    )
                ]
                if not answers:
                    assert store.find(key) is None
                    continue
                best = max(answers, key=lambda a: (a.key.subset, a.key.precision == asked[2]))
                assert differences(store.find(key), best) == []
                expected.append(
                    (
                        *(ratio, int(np.sum(best.predictions == best.labels)), len(best.labels)),
                        *(best.cost.parameters, best.cost.nonzero, best.cost.macs),
                        *(best.key.precision, ""),
                    )
                )
            key = key_of_kind(asked, method, 0.3, recovery=Recovery.named(recovery))
            found = [
                (
                    *(point.ratio, point.correct, point.seen),
                    *(point.parameters, point.nonzero, point.macs),
                    *(point.precision, point.file),
                )
                for point in store.curve(key)
            ]
            assert found == expected
            points += len(found)
    assert points > 20


def test_the_unpruned_network_is_on_every_curve_of_its_recovery(store: ResultStore) -> None:
    put(store, result_of(key_of("fine", 0.0)))
    put(store, result_of(key_of("channel", 0.5, spec={"allocation": "global"})))
    curve = store.curve(key_of("channel", 0.1, spec={"allocation": "global"}))
    assert [point.ratio for point in curve] == [0.0, 0.5]
    assert [point.ratio for point in store.curve(key_of("channel-mask"))] == [0.0]
    assert store.curve(key_of("channel-mask", recovery=Recovery.named("bn"))) == []


def test_the_ratio_of_the_key_has_no_effect_on_its_curve(store: ResultStore) -> None:
    put(store, *(result_of(key_of("channel", ratio)) for ratio in (0.7, 0.2, 0.0)))
    for ratio in (0.01, 0.2, 1.0):
        assert [point.ratio for point in store.curve(key_of("channel", ratio))] == [0.0, 0.2, 0.7]


def test_a_curve_says_what_came_with_a_file(tmp_path: Path, path: Path) -> None:
    ship(tmp_path)
    store = ResultStore(path, tmp_path)
    put(store, result_of(key_of("channel", 0.2), 1))
    curve = store.curve(key_of("channel"))
    assert [(point.ratio, point.file) for point in curve] == [
        (0.1, "some.results.csv"),
        (0.2, ""),
        (0.3, "some.results.csv"),
    ]


# Parts of a result


@pytest.mark.parametrize(
    ("of", "size", "seed"),
    [
        ((WHOLE, 0), 100, 3),
        ((WHOLE, 0), 10, 0),
        ((WHOLE, 0), 299, 1),
        ((WHOLE, 0), WHOLE, 0),
        ((200, 3), 100, 3),
        ((200, 3), 200, 3),
    ],
)
def test_a_result_on_a_part_of_its_images(of: tuple[int, int], size: int, seed: int) -> None:
    result = result_of(key_of("channel", subset=of[0], subset_seed=of[1]))
    part = result.on_subset(size, seed, LABELS)
    assert part.key == key_of("channel", subset=size, subset_seed=seed)

    images = positions_of(part.key).tolist()
    prediction_of = dict(zip(positions_of(result.key).tolist(), result.predictions, strict=True))
    assert part.predictions.tolist() == [prediction_of[image] for image in images]
    assert part.labels.tolist() == [LABELS[image] for image in images]
    assert part.predictions.dtype == part.labels.dtype == np.uint8
    right = sum(int(prediction_of[image] == LABELS[image]) for image in images)
    assert (part.evaluation.correct, part.evaluation.seen) == (right, size)
    assert part.evaluation.is_complete

    assert np.isnan(part.loss_sum)
    assert (part.cost, part.origin) == (result.cost, result.origin)
    assert part.compressed_bytes == result.compressed_bytes


@pytest.mark.parametrize(
    ("of", "size", "seed"),
    [((200, 3), 100, 4), ((200, 3), 201, 3), ((200, 3), WHOLE, 0), ((100, 0), 99, 1)],
)
def test_images_that_a_result_is_not_on_are_refused(
    of: tuple[int, int], size: int, seed: int
) -> None:
    result = result_of(key_of(subset=of[0], subset_seed=of[1]))
    with pytest.raises(ValueError, match="no part"):
        result.on_subset(size, seed, LABELS)


@pytest.mark.parametrize(("of", "chosen"), [((WHOLE, 0), (100, 2)), ((200, 3), (100, 4))])
def test_what_was_chosen_on_some_images_is_judged_on_the_others(
    of: tuple[int, int], chosen: tuple[int, int]
) -> None:
    result = result_of(key_of(subset=of[0], subset_seed=of[1]))
    mine = positions_of(result.key).tolist()
    theirs = positions_of(key_of(subset=chosen[0], subset_seed=chosen[1])).tolist()
    judged = result.evaluate_outside(*chosen, LABELS)
    assert judged is not None
    predicted = dict(zip(mine, result.predictions.tolist(), strict=True))
    others = [image for image in mine if image not in theirs]
    assert judged.predictions.tolist() == [predicted[image] for image in others]
    assert judged.labels.tolist() == [LABELS[image] for image in others]
    assert judged.is_complete
    assert np.isnan(judged.loss_sum)


@pytest.mark.parametrize("chosen", [(WHOLE, 0), (WHOLE, 5), (200, 3)])
def test_what_was_chosen_on_all_its_images_is_not_judged(chosen: tuple[int, int]) -> None:
    result = result_of(key_of(subset=200, subset_seed=3))
    assert result.evaluate_outside(*chosen, LABELS) is None


def test_every_pruning_on_the_very_images_is_counted(store: ResultStore) -> None:
    asked = key_of(subset=100, subset_seed=2)
    same = [
        result_of(key_of("fine", 0.0, subset=100, subset_seed=2)),
        result_of(key_of("channel", 0.5, subset=100, subset_seed=2)),
        result_of(
            key_of("fine", 0.0, spec={"overrides": (("a", 0.5),)}, subset=100, subset_seed=2)
        ),
    ]
    others = [
        result_of(key_of("fine", 0.7)),
        result_of(key_of("fine", 0.7, subset=100, subset_seed=3)),
        result_of(key_of("fine", 0.7, subset=100, subset_seed=2, recovery=Recovery("bn", 9))),
        result_of(key_of("fine", 0.7, subset=100, subset_seed=2, checkpoint="other")),
        result_of(key_of("fine", 0.7, subset=100, subset_seed=2, architecture="other")),
        result_of(key_of("fine", 0.7, subset=100, subset_seed=2, data="other")),
        result_of(key_of("fine", 0.7, subset=100, subset_seed=2, algorithm=9)),
    ]
    other_precision = result_of(replace(same[1].key, precision="fp32"), version=1)
    put(store, other_precision, *same)
    for other in others:
        put(store, other)
    assert store.counts(other_precision.key) == {
        (other_precision.key.settings, 50): other_precision.evaluation.correct
    }
    assert store.counts(asked) == {
        (result.key.settings, result.key.hundredths): result.evaluation.correct for result in same
    }
    assert store.counts(replace(asked, subset_seed=8)) == {}


def test_a_curve_with_overrides_has_no_unpruned_network(store: ResultStore) -> None:
    own = {"overrides": (("a", 0.5),)}
    put(store, result_of(key_of("fine", 0.0)), result_of(key_of("fine", 0.4)))
    put(store, *(result_of(key_of("fine", ratio, spec=own)) for ratio in (0.0, 0.2)))
    assert [point.ratio for point in store.curve(key_of("fine", 0.9, spec=own))] == [0.0, 0.2]
    assert [point.ratio for point in store.curve(key_of("fine", 0.9))] == [0.0, 0.4]
    at_zero = store.curve(key_of("fine", 0.9, spec=own))[0]
    expected = result_of(key_of("fine", 0.0, spec=own))
    assert at_zero.correct == expected.evaluation.correct


def test_a_subset_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be drawn"):
        result_of(key_of()).on_subset(WHOLE + 1, 0, LABELS)


def test_a_larger_answer_gives_the_part_asked_for(store: ResultStore) -> None:
    put(store, result_of(key_of_kind(LARGER)))
    asked = key_of_kind(ASKED)
    found, labels = store.find(asked), store.test_labels(asked.data)
    assert found is not None
    assert labels is not None
    part = found.on_subset(asked.subset, asked.subset_seed, labels)
    assert part.key == asked
    assert part.labels.tolist() == LABELS[positions_of(asked)].tolist()


def test_a_loss_that_is_no_number_is_kept(store: ResultStore) -> None:
    result = result_of(key_of(), loss_sum=float("nan"))
    put(store, result)
    found = store.get(result.key)
    assert found is not None
    assert np.isnan(found.loss_sum)


@pytest.mark.parametrize(
    "wrong", [np.zeros(3, np.uint8), np.zeros((1, 1), np.uint8)], ids=["length", "shape"]
)
def test_arrays_that_do_not_fit_the_subset_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 or uint16 arrays of that length"):
        result_of(key_of(), predictions=wrong)


def test_predictions_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="int64"):
        result_of(key_of(), predictions=result_of(key_of()).predictions.astype(np.int64))


# Many classes

MANY = (np.arange(WHOLE) * 3 % 1000).astype(np.uint16)


def of_many_classes(predictions: np.ndarray) -> Result:
    return result_of(key_of(data="many"), predictions=predictions, labels=MANY)


@pytest.mark.parametrize("largest", [9, 255, 256, 65535])
def test_classes_take_as_many_bytes_as_they_need(store: ResultStore, largest: int) -> None:
    predictions = compact(np.minimum(np.arange(WHOLE) * 300, largest))
    assert predictions.dtype == (np.uint8 if largest < 256 else np.uint16)
    result = of_many_classes(predictions)
    store.put([result], MANY)
    assert result.evaluation.correct == np.count_nonzero(
        np.minimum(np.arange(WHOLE) * 300, largest) == np.arange(WHOLE) * 3 % 1000
    )
    reopened = ResultStore(store.path)
    for reader in (store, reopened):
        assert differences(reader.get(result.key), result) == []
    labels = reopened.test_labels("many")
    assert labels is not None
    assert labels.dtype == np.uint16
    assert labels.tolist() == MANY.tolist()


@pytest.mark.parametrize("outside", [-1, 65536])
def test_a_class_that_no_two_bytes_hold_is_refused(outside: int) -> None:
    with pytest.raises(InputError, match=rf"not for class {outside}: .+\.$"):
        compact(np.array([0, 300, outside]))


# What no longer fits itself


@pytest.mark.parametrize(
    "change",
    [
        "correct = correct + 1",
        "positions = '0123456789abcdef'",
        "subset_seed = 5",
        "predictions = x'00'",
    ],
)
def test_a_row_that_contradicts_itself_is_removed(
    store: ResultStore, path: Path, change: str
) -> None:
    result, other = result_of(key_of(subset=100, subset_seed=4)), result_of(key_of("channel"))
    put(store, result, other)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE results SET {change} WHERE subset = 100")
    asked = replace(result.key, subset_seed=5) if "seed" in change else result.key
    assert store.get(asked) is None
    assert "damaged" in store.notes[-1]
    assert not store.has(asked)
    assert len(rows_in(path)) == 1
    assert differences(store.get(other.key), other) == []


def test_a_subset_that_is_drawn_otherwise_by_now_is_noticed(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_of(key_of(subset=100, subset_seed=4))
    result = replace(result, predictions=np.full(100, 10, np.uint8))  # right nowhere, on any subset
    put(store, result)
    assert differences(store.get(result.key), result) == []
    monkeypatch.setattr("core.results.rows.sorted_subset", lambda *of: np.arange(of[1]))
    assert store.get(result.key) is None
    assert "damaged" in store.notes[-1]
