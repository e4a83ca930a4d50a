"""Nothing that was kept is lost, whoever writes at once, gets killed or leaves a file behind."""

import gc
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Barrier as ThreadBarrier
from threading import Event
from typing import Any

import filelock
import numpy as np
import pytest

from core.results import Key, Result, ResultStore, StoreError, database
from core.results.database import Database
from core.results.importer import SECONDS_BETWEEN_TRIES
from core.results.rows import LAYOUT
from tests.conftest import SPAWN, full_disk
from tests.results.conftest import LABELS, SHIPPED, differences, key_of, put, result_of, ship

WRITERS = 4
ROWS = 1000  # of each writer
AT_ONCE = 20  # rows of one transaction


def written(writer: int, number: int) -> Key:
    """The key of a row that a process or a thread writes."""
    return key_of(
        checkpoint=f"writer {writer}", spec={"criterion": "random", "seed": number}, subset=10
    )


def at_once(writer: int, first: int) -> list[Result]:
    return [result_of(written(writer, number)) for number in range(first, first + AT_ONCE)]


def quick_check(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Processes


def write_all(path: Path, writer: int, begin: Barrier) -> None:
    """The work of one of several children."""
    begin.wait()
    store = ResultStore(path)
    for first in range(0, ROWS, AT_ONCE):
        store.put(at_once(writer, first), LABELS)
        assert store.has(written(writer, first))
    assert store.notes == []


def test_of_four_processes_that_write_at_once_none_loses_a_row(path: Path) -> None:
    begin = SPAWN.Barrier(WRITERS, timeout=300)  # not for ever, where one could not start
    children = [
        SPAWN.Process(target=write_all, args=(path, writer, begin), daemon=True)
        for writer in range(WRITERS)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * WRITERS

    with closing(sqlite3.connect(path)) as connection:
        kept = set(connection.execute("SELECT checkpoint, settings FROM results"))
    assert kept == {
        (f"writer {writer}", written(writer, number).settings)
        for writer in range(WRITERS)
        for number in range(ROWS)
    }
    assert quick_check(path) == "ok"
    store = ResultStore(path)
    assert store.notes == []
    for writer in range(WRITERS):
        for number in (0, 500, ROWS - 1):
            key = written(writer, number)
            assert differences(store.get(key), result_of(key)) == []


def write_until_killed(path: Path, told: "Connection[Any, Any]") -> None:
    store = ResultStore(path)
    for first in range(0, 10**9, AT_ONCE):
        store.put(at_once(0, first), LABELS)
        told.send(first + AT_ONCE)


def test_a_process_that_is_killed_loses_nothing_that_it_had_kept(path: Path) -> None:
    mine, theirs = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=write_until_killed, args=(path, theirs), daemon=True)
    child.start()
    theirs.close()
    kept = 0
    while kept < 10 * AT_ONCE:
        kept = mine.recv()
    child.kill()  # it goes on writing until here
    child.join()
    try:
        while True:
            kept = mine.recv()
    except EOFError:
        pass

    store = ResultStore(path)
    assert store.notes == []
    assert quick_check(path) == "ok"
    with closing(sqlite3.connect(path)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM results").fetchone()
    assert rows in (kept, kept + AT_ONCE)  # what was not reported is there as a whole, or not
    for number in (0, kept // 2, kept - 1):
        assert differences(store.get(written(0, number)), result_of(written(0, number))) == []
    put(store, result_of(key_of()))
    assert store.has(key_of())


@pytest.mark.parametrize("is_open", [False, True], ids=["opened after", "opened before"])
def test_a_transaction_that_nobody_ended_leaves_no_trace(
    path: Path, store: ResultStore, is_open: bool
) -> None:
    """What a kill in the middle of one leaves: pages of it in the file, and the old ones beside."""
    kept = [result_of(written(0, number)) for number in range(50)]
    put(store, *kept)
    after = path.parent.with_name("after") / path.name
    found = ResultStore(after)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 2")  # so that pages reach the file early
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE results SET seconds = -1, predictions = zeroblob(5000)")
        left = {name: (path.parent / name).read_bytes() for name in names_in(path.parent)}
    for name, content in left.items():
        (after.parent / name).write_bytes(content)
    assert len(left[f"{path.name}-journal"]) > 10_000
    assert left[path.name] != path.read_bytes()

    if not is_open:
        found = ResultStore(after)
    for result in kept:
        assert differences(found.get(result.key), result) == []
    assert found.notes == []
    assert quick_check(after) == "ok"


# Threads


def test_threads_share_a_store(store: ResultStore, path: Path) -> None:
    threads, rows = 8, 12
    begin = ThreadBarrier(threads)
    shared = result_of(key_of())

    def work(thread: int) -> list[str]:
        begin.wait()
        differing = []
        for number in range(rows):
            result = result_of(written(thread, number))
            put(store, result, shared)
            differing += differences(store.get(result.key), result)
            differing += differences(store.find(shared.key), shared)
        return differing

    with ThreadPoolExecutor(threads) as pool:
        assert [*pool.map(work, range(threads))] == [[]] * threads
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (
            threads * rows + 1,
        )


def test_a_thread_does_not_wait_for_ever_to_write_but_reads_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Database(path, LAYOUT)
    monkeypatch.setattr(database, "SECONDS_TO_WAIT", 0.05)
    is_held, release = Event(), Event()

    def hold(_: sqlite3.Connection) -> None:
        is_held.set()
        release.wait(60)

    def count(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM results").fetchone()[0])

    def clear(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM results")

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(shared.write, hold)
        is_held.wait(60)
        assert shared.read(count) == 0
        with pytest.raises(StoreError, match="lock"):
            shared.write(clear)
        release.set()
        holding.result()
    shared.write(clear)


def test_a_store_can_be_opened_by_several_threads_at_once(tmp_path: Path, path: Path) -> None:
    ship(tmp_path)
    threads = 6
    begin = ThreadBarrier(threads)

    def work(_: int) -> list[str]:
        begin.wait()
        store = ResultStore(path, tmp_path)
        found = store.find(SHIPPED[0].key)
        assert found is not None
        return [*store.notes, found.origin.file]

    with ThreadPoolExecutor(threads) as pool:
        assert [*pool.map(work, range(threads))] == [["some.results.csv"]] * threads


# A file that is none of ours

LOCAL = [result_of(key_of("fine", step / 100, subset=200)) for step in range(1, 101)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where shipped results are."""
    ship(tmp_path)
    return tmp_path


@pytest.fixture
def full(path: Path, folder: Path) -> ResultStore:
    """With what ships, and a hundred results of this machine."""
    store = ResultStore(path, folder)
    put(store, *LOCAL)
    assert path.stat().st_size > 10 * 4096
    return store


def assert_set_aside(path: Path, store: ResultStore, content: bytes | None, word: str) -> None:
    """The store says that it begins anew, the old file is there, and the store works."""
    aside = [name for name in names_in(path.parent) if ".aside-" in name]
    assert len(aside) == 1
    assert aside[0].endswith(".sqlite")
    assert len(store.notes) == 1
    for part in (path.name, word, aside[0]):
        assert part in store.notes[0]
    assert "\n" not in store.notes[0]
    if content is not None:
        assert (path.parent / aside[0]).read_bytes() == content

    for result in SHIPPED:
        found = store.find(result.key)
        assert found is not None
        assert found.origin.file == "some.results.csv"
        assert found.predictions.tolist() == result.predictions.tolist()
    assert not any(store.has(result.key) for result in LOCAL)
    put(store, LOCAL[0])
    assert differences(store.get(LOCAL[0].key), LOCAL[0]) == []
    assert quick_check(path) == "ok"
    assert len(store.notes) == 1


def truncated_to(length: int) -> Callable[[Path], None]:
    def truncate(path: Path) -> None:
        os.truncate(path, length if length > 0 else path.stat().st_size + length)

    return truncate


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(50_000))


def text(path: Path) -> None:
    path.write_text("my thesis\n" * 1000)


def random_after_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + np.random.default_rng(0).bytes(50_000))


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE results (what TEXT)")
        connection.execute("INSERT INTO results VALUES ('my thesis')")


def of_another_layout(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")


def of_an_older_layout(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 0")


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        (truncated_to(100), "damaged"),
        (truncated_to(4096), "damaged"),
        (truncated_to(3 * 4096 + 7), "damaged"),
        (truncated_to(-4096), "damaged"),
        (random_bytes, "damaged"),
        (random_after_the_header, "damaged"),
        (text, "damaged"),
        (foreign, "something else"),
        (of_another_layout, "layout 99"),
        (of_an_older_layout, "layout 0"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.usefixtures("full")
def test_a_file_that_is_no_store_is_set_aside(
    path: Path, folder: Path, trouble: Callable[[Path], None], word: str
) -> None:
    trouble(path)
    content = path.read_bytes()
    store = ResultStore(path, folder)
    assert_set_aside(path, store, content, word)
    assert ResultStore(path, folder).notes == []


@pytest.mark.usefixtures("full")
def test_an_empty_file_is_a_store_that_is_empty(path: Path, folder: Path) -> None:
    path.write_bytes(b"")
    store = ResultStore(path, folder)
    assert store.notes == []
    assert store.has(SHIPPED[0].key)
    assert not store.has(LOCAL[0].key)


@pytest.mark.usefixtures("full")
def test_each_file_that_is_set_aside_has_a_name_of_its_own(path: Path, folder: Path) -> None:
    contents = []
    for trouble in (random_bytes, text, foreign):
        trouble(path)
        contents.append(path.read_bytes())
        ResultStore(path, folder)
    aside = sorted(path.parent.glob("*.aside-*"))  # named by time
    assert [file.read_bytes() for file in aside] == contents


def test_a_folder_in_the_files_place_is_said(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        ResultStore(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(".")


# Trouble that comes while the store is in use


def overwrite(path: Path, content: Callable[[int], bytes], first_page: int = 1) -> bytes:
    """Overwrite the pages from one on; return the whole file as it is then."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(first_page * 4096)
        file.write(content(size - first_page * 4096))
    return path.read_bytes()


CONTENTS: list[Callable[[int], bytes]] = [np.random.default_rng(0).bytes, bytes]

QUESTIONS: dict[str, Callable[[ResultStore], object]] = {
    "find": lambda store: store.find(LOCAL[0].key),
    "curve": lambda store: [p for p in store.curve(LOCAL[0].key) if p.ratio in (0.01, 0.5)],
    "has": lambda store: store.has(LOCAL[0].key),
    "get": lambda store: store.get(LOCAL[0].key),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("content", CONTENTS, ids=["random", "zeros"])
def test_damage_is_met_by_a_question(
    full: ResultStore,
    path: Path,
    content: Callable[[int], bytes],
    question: Callable[[ResultStore], object],
) -> None:
    damaged = overwrite(path, content)
    assert not question(full)
    assert_set_aside(path, full, damaged, "damaged")


@pytest.mark.parametrize("content", CONTENTS, ids=["random", "zeros"])
def test_damage_is_met_by_keeping(
    full: ResultStore, path: Path, content: Callable[[int], bytes]
) -> None:
    overwrite(path, content)
    new = result_of(key_of("channel-mask"))
    put(full, new)
    assert differences(full.get(new.key), new) == []
    assert_set_aside(path, full, None, "damaged")


def test_damage_in_the_middle_gives_no_wrong_answer(full: ResultStore, path: Path) -> None:
    """A question that meets none of it is answered as before; the first that does begins anew."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(np.random.default_rng(0).bytes(2 * 4096))
    found = [full.get(result.key) for result in LOCAL]
    lost = [result is None for result in found]
    assert lost == sorted(lost)  # none of them is there again after the first that was not
    assert any(lost)
    assert any(".aside-" in name for name in names_in(path.parent))
    for result, expected in zip(found, LOCAL, strict=True):
        assert result is None or differences(result, expected) == []
    assert full.has(SHIPPED[0].key)
    assert len(full.notes) == 1


def test_a_truncated_file_is_met_by_a_question(full: ResultStore, path: Path) -> None:
    os.truncate(path, 5 * 4096)
    content = path.read_bytes()
    assert full.find(LOCAL[-1].key) is None
    assert_set_aside(path, full, content, "damaged")


def test_a_file_that_becomes_something_else_is_met_by_a_question(
    full: ResultStore, path: Path
) -> None:
    text(path)
    assert full.find(LOCAL[-1].key) is None
    assert_set_aside(path, full, b"my thesis\n" * 1000, "damaged")


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_file_that_is_gone_is_begun_anew_with_what_ships(
    full: ResultStore, path: Path, question: Callable[[ResultStore], object]
) -> None:
    path.unlink()
    assert not question(full)
    assert full.find(SHIPPED[0].key) is not None
    put(full, LOCAL[0])
    assert differences(full.get(LOCAL[0].key), LOCAL[0]) == []
    assert not full.has(LOCAL[1].key)


def test_where_the_file_is_gone_keeping_begins_a_new_one(full: ResultStore, path: Path) -> None:
    path.unlink()
    put(full, LOCAL[0])
    assert differences(full.get(LOCAL[0].key), LOCAL[0]) == []
    assert full.has(SHIPPED[0].key)


def test_another_process_begins_anew_for_all(full: ResultStore, path: Path, folder: Path) -> None:
    overwrite(path, CONTENTS[0])
    other = ResultStore(path, folder)
    other.find(LOCAL[0].key)
    put(other, LOCAL[5])
    assert differences(full.get(LOCAL[5].key), LOCAL[5]) == []
    assert full.has(SHIPPED[0].key)
    assert len([name for name in names_in(path.parent) if ".aside-" in name]) == 1


# A folder that cannot be written


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system's temporary files are."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(params=["refused", "a file is in the way"])
def unwritable(
    request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The path of a store in a folder that cannot be written, or cannot be made."""
    place = folder / "unwritable"
    if request.param == "refused":
        place.mkdir()
        access = os.access
        monkeypatch.setattr(
            "core.results.database.os.access",
            lambda path, mode: Path(path) != place and access(path, mode),
        )
        yield place / "results.sqlite"
        assert names_in(place) == set()
    else:
        place.write_text("a file")
        yield place / "results.sqlite"
        assert place.read_text() == "a file"


def test_where_the_folder_cannot_be_written_a_temporary_one_serves(
    unwritable: Path, folder: Path, temporary: Path
) -> None:
    store = ResultStore(unwritable, folder)
    assert len(store.notes) == 1
    assert str(unwritable.parent) in store.notes[0]
    assert "cannot be written" in store.notes[0]
    assert store.has(SHIPPED[0].key)
    put(store, *LOCAL)
    for result in (LOCAL[0], LOCAL[-1]):
        assert differences(store.get(result.key), result) == []
    assert len(list(temporary.rglob("results.sqlite"))) == 1
    del store
    gc.collect()
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("temporary")
def test_what_was_kept_in_a_folder_that_can_only_be_read_is_known_and_more_is_kept_apart(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ResultStore(path, folder), LOCAL[0])
    before = path.read_bytes()
    monkeypatch.setattr("core.results.database.os.access", lambda where, _: where != path.parent)
    store = ResultStore(path, folder)
    put(store, LOCAL[1])
    assert all(store.has(result.key) for result in (LOCAL[0], LOCAL[1], SHIPPED[0]))
    assert str(path.parent) in store.notes[0]
    assert path.read_bytes() == before


# A full disk


def test_on_a_full_disk_what_is_known_is_answered_and_nothing_lost(
    full: ResultStore, path: Path
) -> None:
    new = result_of(LOCAL[1].key, 1)
    with full_disk():
        known = full.get(LOCAL[0].key)
        assert full.has(SHIPPED[0].key)
        with pytest.raises(StoreError) as caught:
            put(full, new)
        assert differences(full.get(LOCAL[1].key), LOCAL[1]) == []
        notes = full.notes
    assert differences(known, LOCAL[0]) == []
    assert str(path) in str(caught.value)
    assert len(notes) == 1
    assert str(path) in notes[0]
    assert notes[0].endswith(": nothing new is kept.")
    put(full, new)  # once there is room again
    assert full.notes == []
    assert differences(full.get(LOCAL[0].key), LOCAL[0]) == []
    assert differences(full.get(LOCAL[1].key), new) == []
    assert quick_check(path) == "ok"


@pytest.mark.usefixtures("full")
def test_a_store_opened_on_a_full_disk_answers(path: Path, folder: Path) -> None:
    with full_disk():
        store = ResultStore(path, folder)
        known, notes = store.get(LOCAL[0].key), store.notes
    assert differences(known, LOCAL[0]) == []
    assert [note.endswith(": nothing new is kept.") for note in notes] == [True]
    store.refresh()
    assert store.notes == []


@pytest.mark.usefixtures("temporary")
def test_a_full_disk_without_a_store_is_said(path: Path, folder: Path) -> None:
    with full_disk(), pytest.raises(StoreError, match=r"results\.sqlite .+\.$"):
        ResultStore(path, folder)
    assert ResultStore(path, folder).has(SHIPPED[0].key)


def test_what_ships_anew_is_not_taken_in_on_a_full_disk_but_later(
    full: ResultStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(folder, SHIPPED[0], name="more")
    with full_disk():
        full.refresh()
        notes = full.notes
        assert full.has(SHIPPED[0].key)
    assert "more.results.csv was not imported" in notes[0]
    assert full.notes == notes  # not tried at every look, but once a while is over
    later = time.monotonic() + SECONDS_BETWEEN_TRIES
    monkeypatch.setattr("core.results.importer.time.monotonic", lambda: later)
    full.refresh()
    assert full.notes == []


# A file that is locked


def test_a_store_that_another_process_writes_for_long_answers_and_says_so(
    full: ResultStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.results.database.SECONDS_TO_WAIT", 0.1)
    with filelock.FileLock(path.with_suffix(".lock")):
        assert differences(full.get(LOCAL[0].key), LOCAL[0]) == []
        with pytest.raises(StoreError, match=rf"{path} .+lock.+\.$"):
            put(full, result_of(key_of()))
    put(full, result_of(key_of()))
    assert full.has(key_of())


@pytest.mark.parametrize("damage", CONTENTS[:3])
def test_threads_that_meet_damage_at_once_begin_anew_once(
    full: ResultStore, path: Path, damage: Any
) -> None:
    overwrite(path, damage)
    threads = 8
    begin = ThreadBarrier(threads)

    def work(thread: int) -> bool:
        begin.wait()
        assert full.find(LOCAL[thread].key) is None
        put(full, LOCAL[thread])
        return full.has(LOCAL[thread].key)

    with ThreadPoolExecutor(threads) as pool:
        assert [*pool.map(work, range(threads))] == [True] * threads
    assert len([name for name in names_in(path.parent) if ".aside-" in name]) == 1
    assert all(full.has(result.key) for result in [*SHIPPED, *LOCAL[:threads]])
    assert quick_check(path) == "ok"


def test_a_file_that_was_missing_for_a_moment_is_read_again(
    full: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread had set it aside, and has created it anew by now."""
    connect, failures = database._on_connection, [sqlite3.SQLITE_CANTOPEN]

    def fail_once(*arguments: Any) -> Any:
        if failures:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = failures.pop()
            raise error
        return connect(*arguments)

    monkeypatch.setattr(database, "_on_connection", fail_once)
    assert differences(full.get(LOCAL[0].key), LOCAL[0]) == []
    assert full.notes == []


def test_a_file_that_was_emptied_is_begun_anew(full: ResultStore, path: Path) -> None:
    path.write_bytes(b"")
    assert full.find(LOCAL[0].key) is None
    assert full.has(SHIPPED[0].key)


def test_a_file_of_another_layout_put_in_its_place(full: ResultStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("ALTER TABLE results RENAME TO other")
    assert full.find(LOCAL[0].key) is None
    assert full.has(SHIPPED[0].key)
    assert "layout 99" in full.notes[0]


def test_a_damaged_prediction_is_no_answer(full: ResultStore, path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.find(zlib.compress(LOCAL[50].predictions.tobytes()))
    content[place + 20 : place + 30] = b"x" * 10
    path.write_bytes(content)
    assert full.get(LOCAL[50].key) is None
    assert full.find(LOCAL[50].key) is None
    assert not full.has(LOCAL[50].key)
    assert "damaged" in full.notes[-1]
    put(full, LOCAL[50])  # measured again
    assert full.has(LOCAL[50].key)


def test_a_damaged_result_that_ships_is_taken_in_again(full: ResultStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE results SET predictions = x'00' WHERE file != ''")
    assert full.get(SHIPPED[0].key) is None
    assert "damaged" in full.notes[-1]
    full.refresh()
    assert differences(full.get(SHIPPED[0].key), SHIPPED[0]) == ["origin"]  # it names the file


@pytest.mark.usefixtures("full")
def test_damaged_labels_are_taken_in_again(path: Path, folder: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE test_labels SET labels = x'00'")
    store = ResultStore(path, folder)
    assert store.find(SHIPPED[0].key) is None
    assert "damaged" in store.notes[-1]
    store.refresh()
    assert store.has(LOCAL[0].key)
    assert differences(store.get(LOCAL[0].key), LOCAL[0]) == []
    assert store.has(SHIPPED[0].key)


def test_a_shipped_file_that_goes_while_it_is_looked_at_is_calm(
    full: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    glob = Path.glob

    def gone_by_then(self: Path, pattern: str) -> Iterator[Path]:
        for found in [*glob(self, pattern)]:
            found.unlink()
            yield found

    with monkeypatch.context() as patch:
        patch.setattr(Path, "glob", gone_by_then)
        full.refresh()
    full.refresh()
    assert not full.has(SHIPPED[0].key)
    assert full.notes == []
