"""A file of an earlier layout keeps its results, under the same keys."""

import json
import sqlite3
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.results import Result, ResultStore
from core.results.rows import to_row
from core.specs.recovery import Recovery
from tests.results.conftest import LABELS, differences, key_of, put, result_of

LAYOUT_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE test_labels (data TEXT PRIMARY KEY, labels BLOB NOT NULL);
CREATE TABLE shipped_files (file TEXT PRIMARY KEY, version TEXT NOT NULL);
CREATE TABLE results (
    checkpoint TEXT NOT NULL, data TEXT NOT NULL, algorithm INTEGER NOT NULL,
    settings TEXT NOT NULL, recovery TEXT NOT NULL, hundredths INTEGER NOT NULL,
    subset INTEGER NOT NULL, subset_seed INTEGER NOT NULL, precision TEXT NOT NULL,
    correct INTEGER NOT NULL, loss_sum REAL,
    parameters INTEGER NOT NULL, nonzero INTEGER NOT NULL,
    macs INTEGER NOT NULL, macs_nonzero REAL NOT NULL, bytes INTEGER NOT NULL,
    compressed_bytes INTEGER,
    device TEXT NOT NULL, versions TEXT NOT NULL, seconds REAL NOT NULL, date TEXT NOT NULL,
    file TEXT NOT NULL,
    predictions BLOB NOT NULL,
    PRIMARY KEY (checkpoint, data, algorithm, settings, recovery, hundredths,
                 subset, subset_seed, precision)
);
PRAGMA application_id = 1347573070;
PRAGMA user_version = 1;
"""
LAYOUT_2 = """
CREATE TABLE test_labels (
    data TEXT PRIMARY KEY, labels BLOB NOT NULL, dtype TEXT NOT NULL DEFAULT 'uint8'
);
CREATE TABLE shipped_files (file TEXT PRIMARY KEY, version TEXT NOT NULL);
CREATE TABLE results (
    checkpoint TEXT NOT NULL, architecture TEXT NOT NULL DEFAULT 'resnet18', data TEXT NOT NULL,
    algorithm INTEGER NOT NULL, settings TEXT NOT NULL, recovery TEXT NOT NULL,
    hundredths INTEGER NOT NULL, subset INTEGER NOT NULL, subset_seed INTEGER NOT NULL,
    precision TEXT NOT NULL, positions TEXT,
    correct INTEGER NOT NULL, loss_sum REAL,
    parameters INTEGER NOT NULL, nonzero INTEGER NOT NULL,
    macs INTEGER NOT NULL, macs_nonzero REAL NOT NULL, bytes INTEGER NOT NULL,
    compressed_bytes INTEGER,
    device TEXT NOT NULL, versions TEXT NOT NULL, seconds REAL NOT NULL, date TEXT NOT NULL,
    file TEXT NOT NULL,
    predictions BLOB NOT NULL,
    PRIMARY KEY (checkpoint, architecture, data, algorithm, settings, recovery, hundredths,
                 subset, subset_seed, precision)
);
PRAGMA application_id = 1347573070;
PRAGMA user_version = 2;
"""
LAYOUT_3 = LAYOUT_2.replace(
    "file TEXT NOT NULL,", "file TEXT NOT NULL, recovery_seconds REAL,"
).replace("user_version = 2", "user_version = 3")
LAYOUT_4 = LAYOUT_3.replace(
    "predictions BLOB NOT NULL,", "predictions BLOB NOT NULL, codes BLOB,"
).replace("user_version = 3", "user_version = 4")
RESULTS = [
    result_of(key_of("fine", 0.0)),
    result_of(key_of("channel", 0.3, spec={"criterion": "bn", "allocation": "global"})),
    result_of(key_of("fine", 0.7, subset=100, subset_seed=3), compressed_bytes=None),
    result_of(key_of("channel", 0.5, recovery=Recovery("bn", 500, 3), precision="fp32")),
    *(result_of(key_of("channel-mask", step / 100)) for step in range(1, 100)),
]
KEPT = [replace(result, codes=None) for result in RESULTS]


def settings_of(result: Result) -> str:
    """Spelt out here, as files of the first layout have it."""
    spec = result.key.spec
    named = {"method": spec.method}
    if spec.criterion != "l1":
        named["criterion"] = spec.criterion
    if spec.allocation != "uniform":
        named["allocation"] = spec.allocation
    return json.dumps(named, sort_keys=True, separators=(",", ":"))


def recovery_of(result: Result) -> str:
    recovery = result.key.recovery
    if recovery.method == "none":
        return '{"method":"none"}'
    return f'{{"images":{recovery.images},"method":"bn","seed":{recovery.seed}}}'


def row_of(result: Result) -> tuple[object, ...]:
    key, cost, origin = result.key, result.cost, result.origin
    return (
        *(key.checkpoint, key.data, key.algorithm, settings_of(result), recovery_of(result)),
        *(round(100 * key.spec.ratio), key.subset, key.subset_seed, key.precision),
        *(int((result.predictions == result.labels).sum()), result.loss_sum),
        *(cost.parameters, cost.nonzero, cost.macs, cost.macs_nonzero, cost.bytes),
        *(result.compressed_bytes, origin.device, origin.versions, origin.seconds, origin.date),
        *("", zlib.compress(result.predictions.tobytes())),
    )


@pytest.fixture
def of_layout_1(path: Path) -> Iterator[Path]:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(LAYOUT_1)
        connection.execute(
            "INSERT INTO test_labels VALUES (?, ?)",
            (KEPT[0].key.data, zlib.compress(LABELS.tobytes())),
        )
        rows = [row_of(result) for result in KEPT]
        connection.executemany(f"INSERT INTO results VALUES ({','.join('?' * 23)})", rows)
    yield path
    assert [file.name for file in path.parent.glob("*aside*")] == []


def test_every_result_is_found_under_its_key(of_layout_1: Path) -> None:
    for store in (ResultStore(of_layout_1), ResultStore(of_layout_1)):
        assert store.notes == []
        for result in KEPT:
            assert differences(store.get(result.key), result) == []
    with closing(sqlite3.connect(of_layout_1)) as connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (len(KEPT),)
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        assert {name for (name,) in tables} == {"results", "test_labels", "shipped_files"}


@pytest.mark.parametrize(
    ("layout", "later"),
    [
        (LAYOUT_2, {"recovery_seconds", "codes", "shipped_as"}),
        (LAYOUT_3, {"codes", "shipped_as"}),
        (LAYOUT_4, {"shipped_as"}),
    ],
)
def test_a_file_of_a_later_layout_keeps_its_results(
    path: Path, layout: str, later: set[str]
) -> None:
    ResultStore(path)
    with closing(sqlite3.connect(path)) as current:
        columns = [row[1] for row in current.execute("PRAGMA table_info(results)")]
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(layout)
        old = [row[1] for row in connection.execute("PRAGMA table_info(results)")]
        rows = [to_row(result, LABELS) for result in KEPT]
        names = ", ".join(old)
        connection.executemany(f"INSERT INTO results ({names}) VALUES (:{', :'.join(old)})", rows)
        connection.execute(
            "INSERT INTO test_labels VALUES (?, ?, 'uint8')",
            (KEPT[0].key.data, zlib.compress(LABELS.tobytes())),
        )
    assert set(columns) - set(old) == later
    store = ResultStore(path)
    assert store.notes == []
    for result in KEPT:
        assert differences(store.get(result.key), result) == []
    timed = replace(RESULTS[1], origin=replace(KEPT[1].origin, recovery_seconds=1.5))
    put(store, timed)
    assert differences(store.get(timed.key), timed) == []


def test_results_of_another_architecture_can_be_kept_beside_them(of_layout_1: Path) -> None:
    store = ResultStore(of_layout_1)
    other = result_of(replace(KEPT[1].key, architecture="vgg16"), version=1)
    put(store, other)
    assert differences(store.get(other.key), other) == []
    assert differences(store.get(KEPT[1].key), KEPT[1]) == []


def test_threads_that_open_it_at_once_upgrade_it_once(of_layout_1: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = [*pool.map(ResultStore, [of_layout_1] * 4)]
    for store in stores:
        assert store.notes == []
        assert differences(store.get(KEPT[2].key), KEPT[2]) == []


def test_an_upgrade_that_fails_changes_nothing(of_layout_1: Path) -> None:
    with closing(sqlite3.connect(of_layout_1)) as connection, connection:
        connection.execute("CREATE TABLE results_1 (in_the_way)")
    with pytest.raises(ValueError, match=r"results_1.+\.$"):
        ResultStore(of_layout_1)
    with closing(sqlite3.connect(of_layout_1)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (len(KEPT),)
        connection.execute("DROP TABLE results_1")
    assert differences(ResultStore(of_layout_1).get(KEPT[0].key), KEPT[0]) == []
