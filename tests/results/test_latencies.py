"""Latencies are kept by machine and conditions, ship as text, and never mix."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import InputError
from core.measuring.alternating import Speedup
from core.results.latencies import (
    COLUMNS,
    KEY_COLUMNS,
    Conditions,
    Latency,
    LatencyKey,
    LatencyStore,
    export_latencies,
    read_latencies,
)
from core.specs.pruning import PruningSpec

HERE = Conditions("a laptop, 4 cores", "cpu", "pytorch", "fp32", 1, 4, "torch 2.15.0")
OTHER_CONDITIONS: dict[str, Any] = {
    "machine": "a server, 64 cores",
    "device": "cuda",
    "runtime": "onnxruntime",
    "precision": "bf16",
    "batch": 64,
    "threads": 1,
    "versions": "torch 2.14.0",
}


def latency_of(
    ratio: float = 0.5, conditions: Conditions = HERE, version: int = 0, checkpoint: str = "abc"
) -> Latency:
    rng = np.random.default_rng([round(100 * ratio), conditions.batch, version])
    low, median, high = (float(f"{each:.4g}") for each in np.sort(rng.uniform(0.5, 3, 3)))
    seconds, reference = (float(f"{each:.4g}") for each in rng.uniform(1e-3, 1e-1, 2))
    key = LatencyKey.of(checkpoint, "resnet18", PruningSpec("channel", ratio), conditions)
    speedup = Speedup(low, median, high, seconds, reference, 21)
    return Latency(key, speedup, 0.25, 1000, 2000, "cpu", "2026-11-28T12:00:00+00:00")


@pytest.fixture
def store(tmp_path: Path) -> LatencyStore:
    return LatencyStore(tmp_path / "local" / "latencies.sqlite", tmp_path)


def test_what_is_put_is_found_also_by_another_process(store: LatencyStore, tmp_path: Path) -> None:
    latency = latency_of()
    store.put(latency)
    for each in (store, LatencyStore(tmp_path / "local" / "latencies.sqlite")):
        assert each.of("abc") == [latency]
    newer = latency_of(version=1)
    store.put(newer)
    assert store.of("abc") == [newer]


@pytest.mark.parametrize("name", OTHER_CONDITIONS)
def test_other_conditions_are_another_latency(store: LatencyStore, name: str) -> None:
    assert OTHER_CONDITIONS.keys() == {field.name for field in fields(Conditions)}
    other = replace(HERE, **{name: OTHER_CONDITIONS[name]})
    one, two = latency_of(), latency_of(conditions=other, version=1)
    store.put(one)
    store.put(two)
    assert {each.key: each for each in store.of("abc")} == {one.key: one, two.key: two}


def test_settings_without_effect_share_a_latency() -> None:
    plain = LatencyKey.of("abc", "resnet18", PruningSpec("fine", 0.5), HERE)
    scoped = LatencyKey.of("abc", "resnet18", PruningSpec("fine", 0.5, scope="internal"), HERE)
    assert plain == scoped
    assert plain != LatencyKey.of("abc", "resnet18", PruningSpec("fine", 0.51), HERE)


def test_a_file_says_the_same_and_begins_with_its_command(tmp_path: Path) -> None:
    path = tmp_path / "some.latency.csv"
    told = [latency_of(ratio) for ratio in (0.9, 0.1, 0.5)]
    export_latencies(told, path, "python -m core latency")
    assert path.read_text().startswith("# python -m core latency\n" + ",".join(COLUMNS))
    ordered = [latency_of(ratio) for ratio in (0.1, 0.5, 0.9)]
    assert read_latencies(path) == [replace(each, file=path.name) for each in ordered]
    assert len(KEY_COLUMNS) == 11
    assert KEY_COLUMNS[-1] == "versions"


def test_what_ships_is_found_until_it_was_measured_here(
    store: LatencyStore, tmp_path: Path
) -> None:
    shipped, strange = latency_of(), latency_of(checkpoint="of another baseline")
    path = tmp_path / "some.latency.csv"
    export_latencies([shipped, strange], path, "a command")
    assert store.of("abc") == [replace(shipped, file=path.name)]
    here = latency_of(version=1)
    store.put(here)
    assert store.of("abc") == [here]
    path.unlink()
    assert store.of("abc") == [here]


def test_a_file_that_changed_is_read_again(store: LatencyStore, tmp_path: Path) -> None:
    path = tmp_path / "some.latency.csv"
    export_latencies([latency_of(0.1)], path, "a command")
    assert [each.key.hundredths for each in store.of("abc")] == [10]
    export_latencies([latency_of(0.1), latency_of(0.2)], path, "a command")
    assert [each.key.hundredths for each in store.of("abc")] == [10, 20]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (",21,", ",many,"),
        (",fp32,", ",int3,"),
        (",1,4,", ",0,4,"),
        ('"{""method"":""channel""}"', '"[]"'),
        ('"{""method"":""channel""}"', "{"),
        (",2026-11-28T12:00:00+00:00", ""),
        (",50,", ",500,"),
        (",reference_seconds,", ",elsewhere,"),
    ],
)
def test_a_broken_line_is_refused_with_its_number(
    store: LatencyStore, tmp_path: Path, old: str, new: str
) -> None:
    path, good = tmp_path / "some.latency.csv", tmp_path / "other.latency.csv"
    export_latencies([latency_of(0.5)], path, "a command")
    export_latencies([latency_of(0.7)], good, "a command")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=r"some\.latency\.csv, line 3 cannot be read"):
        read_latencies(path)
    assert [each.key.hundredths for each in store.of("abc")] == [70]
    assert len(store.notes) == 1


def test_nothing_to_write_and_a_place_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no latencies"):
        export_latencies([], tmp_path / "a.latency.csv", "a command")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export_latencies([latency_of()], tmp_path / "file" / "a.latency.csv", "a command")


def test_threads_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "latencies.sqlite"
    stores = [LatencyStore(path) for _ in range(4)]

    def write(number: int) -> None:
        for step in range(10):
            stores[number].put(latency_of((10 * number + step) / 100))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.key.hundredths for each in stores[0].of("abc")] == list(range(40))


def test_a_network_without_any_work_left_ships(tmp_path: Path) -> None:
    path = tmp_path / "some.latency.csv"
    nothing_left = replace(latency_of(1.0), work=0.0)
    export_latencies([nothing_left], path, "a command")
    assert [each.work for each in read_latencies(path)] == [0.0]


def test_a_damaged_row_is_left_out(store: LatencyStore, tmp_path: Path) -> None:
    store.put(latency_of(0.3))
    store.put(latency_of(0.5))
    with closing(sqlite3.connect(tmp_path / "local" / "latencies.sqlite")) as file, file:
        file.execute("UPDATE latencies SET settings = '{' WHERE hundredths = 30")
    assert [each.key.hundredths for each in store.of("abc")] == [50]
