"""What ships is taken in as it is, once, and a file that is broken costs nothing but itself."""

import csv
import json
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.errors import InputError
from core.paths import CHECKPOINTS
from core.results import RESULTS_SUFFIX, Result, ResultStore, export, read_shipped
from core.results.shipped import Shipped
from core.specs.recovery import Recovery
from tests.results.conftest import (
    LABELS,
    SHIPPED,
    WHOLE,
    differences,
    edit,
    key_of,
    lines_of,
    put,
    result_of,
    ship,
)

NAME = "some.results.csv"

VARIED = [
    *SHIPPED,
    result_of(key_of("fine", 0.0)),
    result_of(key_of("fine", 1.0, precision="fp32"), compressed_bytes=None),
    result_of(key_of("channel-mask", recovery=Recovery("bn", 500, 3))),
    result_of(key_of("channel", algorithm=5, checkpoint="other", spec={"criterion": "bn"})),
    result_of(
        key_of(
            "channel",
            spec={"criterion": "random", "allocation": "global", "scope": "internal", "seed": 7},
        )
    ),
    result_of(key_of("fine", spec={"allocation": "lamp", "floor": 0.5})),
    result_of(
        key_of(
            "channel",
            spec={
                **{"criterion": "second-order", "allocation": "isomorphic"},
                **{"ceiling": 0.75, "round_to": 8},
            },
            evidence="0011223344556677",
        )
    ),
    result_of(key_of("channel", 0.0, spec={"overrides": (("conv1", 0.1), ("a.b", 1 / 3))})),
]


def from_file(result: Result, name: str = NAME) -> Result:
    return replace(result, origin=replace(result.origin, file=name))


def npz_of(path: Path) -> Path:
    return path.parent / path.name.replace(".csv", ".npz")


def ship_later(folder: Path, *results: Result, name: str = "some") -> Path:
    """As `ship`, with later times, however coarse the file system's clock is."""
    path = ship(folder, *results, name=name)
    for file in (path, npz_of(path)):
        later = file.stat().st_mtime_ns + 10**10
        os.utime(file, ns=(later, later))
    return path


# Writing and reading


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = {result.key: result for result in read_shipped(ship(tmp_path, *VARIED)).results}
    assert len(found) == len(VARIED)
    for result in VARIED:
        assert differences(found[result.key], from_file(result)) == []


def test_results_on_a_part_of_the_test_set_are_read(tmp_path: Path) -> None:
    some = [result_of(key_of("fine", ratio, subset=90, subset_seed=4)) for ratio in (0.1, 0.2)]
    shipped = read_shipped(ship(tmp_path, *some))
    assert np.array_equal(shipped.test_labels, LABELS)
    for found, expected in zip(shipped.results, some, strict=True):
        assert differences(found, from_file(expected)) == []


def test_the_first_line_is_a_comment_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / NAME
    export(VARIED, path, "python -m core sweep --export γ.csv", LABELS)
    first, second, *rest = path.read_bytes().split(b"\n")
    assert first.decode() == "# python -m core sweep --export γ.csv"
    assert second.startswith(b"checkpoint,method,ratio,")
    assert len(rest) == len(VARIED) + 1
    assert rest[-1] == b""
    assert len(read_shipped(path).results) == len(VARIED)


def test_the_table_is_csv_for_everyone(tmp_path: Path) -> None:
    path = ship(tmp_path, *VARIED)
    with path.open(newline="") as file:
        assert next(file).startswith("# ")
        rows = list(csv.DictReader(file))
    expected = {
        (
            *(result.key.spec.method, result.key.spec.ratio, result.key.spec.seed),
            *(result.key.recovery.method, result.key.recovery.images, result.key.precision),
            *(sum(map(int, result.predictions == result.labels)), len(result.labels)),
            *(result.loss_sum, result.cost.nonzero, result.cost.macs_nonzero),
        )
        for result in VARIED
    }
    assert expected == {
        (
            *(row["method"], float(row["ratio"]), int(row["seed"])),
            *(row["recovery"], int(row["recovery_images"]), row["precision"]),
            *(int(row["correct"]), int(row["seen"])),
            *(float(row["loss_sum"]), int(row["nonzero"]), float(row["macs_nonzero"])),
        )
        for row in rows
    }

    table = pd.read_csv(path, comment="#")
    assert list(table["method"]) == [row["method"] for row in rows]
    assert table["correct"].sum() == sum(int(row["correct"]) for row in rows)
    assert table["compressed_bytes"].isna().sum() == 1
    assert set(table["test_images"]) == {WHOLE}


def test_the_arrays_are_readable_without_pickle_row_by_row(tmp_path: Path) -> None:
    path = ship(tmp_path, *VARIED)
    with np.load(npz_of(path), allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["codes", "labels", "predictions"]
        labels, predictions, codes = (arrays[name] for name in ("labels", "predictions", "codes"))
    assert codes.dtype == np.uint8
    assert codes.shape == predictions.shape
    assert labels.dtype == predictions.dtype == np.uint8
    assert labels.tolist() == LABELS.tolist()
    header, *rows = lines_of(path)
    correct = [int(row[header.index("correct")]) for row in rows]
    assert (predictions == labels).sum(axis=1).tolist() == correct


def test_the_order_of_the_results_has_no_effect_on_the_file(tmp_path: Path) -> None:
    first = ship(tmp_path, *VARIED)
    second = ship(tmp_path, *reversed(VARIED), name="backwards")
    assert first.read_bytes() == second.read_bytes()
    for one, other in zip(read_shipped(first).results, read_shipped(second).results, strict=True):
        assert differences(one, from_file(other)) == []


def test_the_ratios_of_a_curve_stand_together_ascending(tmp_path: Path) -> None:
    curves = [
        result_of(key_of(method, ratio, recovery=Recovery.named(recovery)))
        for ratio in (0.5, 0.1, 0.9)
        for method in ("fine", "channel")
        for recovery in ("bn", "none")
    ]
    found = [result.key for result in read_shipped(ship(tmp_path, *curves)).results]
    runs = [found[start : start + 3] for start in range(0, 12, 3)]
    for run in runs:
        assert len({(key.spec.method, key.recovery) for key in run}) == 1
        assert [key.spec.ratio for key in run] == [0.1, 0.5, 0.9]


def test_writing_again_replaces_both_files(tmp_path: Path) -> None:
    ship(tmp_path, *VARIED)
    path = ship(tmp_path, *SHIPPED)
    assert len(read_shipped(path).results) == len(SHIPPED)
    assert {file.name for file in tmp_path.iterdir()} == {NAME, "some.results.npz"}


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no results .+\.$"):
        export([], tmp_path / NAME, "", LABELS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes", [{"subset": 100}, {"subset": 100, "subset_seed": 1}, {"data": "other"}], ids=str
)
def test_results_on_several_subsets_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    odd = result_of(key_of(**changes))
    for others in ([result_of(key_of())], [result_of(key_of(subset=100, subset_seed=2))]):
        with pytest.raises(InputError, match=r"one subset .+\.$"):
            export([*others, odd], tmp_path / NAME, "", LABELS)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/some.results.csv cannot be written .+\.$"):
        ship(tmp_path / "file")


# Refusing


def replaced(column: str, text: str, row: int = 2) -> Callable[[Path], None]:
    """Another text in a cell; the rows count from 1."""

    def change(lines: list[list[str]]) -> None:
        lines[row][lines[0].index(column)] = text

    return lambda path: edit(path, change)


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda path: void([change(path) for change in changes])


def without_column(name: str) -> Callable[[Path], None]:
    def change(lines: list[list[str]]) -> None:
        place = lines[0].index(name)
        for line in lines:
            del line[place]

    return lambda path: edit(path, change)


def with_arrays(**changes: Any) -> Callable[[Path], None]:
    """Other arrays beside the table; None leaves one out."""

    def change(path: Path) -> None:
        with np.load(npz_of(path)) as arrays:
            content = dict(arrays) | changes
        content = {name: array for name, array in content.items() if array is not None}
        np.savez_compressed(npz_of(path), **content)

    return change


def with_npz(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: void(npz_of(path).write_bytes(change(npz_of(path).read_bytes())))


def with_text(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: void(path.write_bytes(change(path.read_bytes())))


def void(_: object) -> None:
    return None


class Treacherous:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def trace_of(path: Path) -> Path:
    return path.with_name("unpickled")


def pickled_array(path: Path) -> None:
    array = np.array([Treacherous(trace_of(path))], dtype=object)
    np.savez(npz_of(path), labels=array, predictions=array)


def pickle_file(path: Path) -> None:
    npz_of(path).write_bytes(pickle.dumps(Treacherous(trace_of(path))))


def array_without_archive(path: Path) -> None:
    with npz_of(path).open("wb") as file:
        np.save(file, LABELS)


def a_folder(path: Path) -> None:
    npz_of(path).unlink()
    npz_of(path).mkdir()


def bits_flipped(path: Path) -> None:
    """In the compressed content of the first array, behind a header of some 40 bytes."""
    content = bytearray(npz_of(path).read_bytes())
    content[60:80] = bytes(255 - byte for byte in content[60:80])
    npz_of(path).write_bytes(content)


OF_THE_TABLE: dict[str, tuple[Callable[[Path], None], int | None, str]] = {
    "a column less": (without_column("macs"), 2, "column macs"),
    "no predictions' count": (without_column("correct"), 2, "column correct"),
    "a number that is none": (replaced("macs", "many"), 4, "macs"),
    "a fraction": (replaced("parameters", "1.5", row=1), 3, "parameters"),
    "an empty number": (replaced("bytes", ""), 4, "bytes"),
    "a negative number": (replaced("nonzero", "-1"), 4, "nonzero"),
    "a number beyond all": (replaced("macs", str(10**20)), 4, "macs"),
    "a number of 5,000 digits": (replaced("macs", "9" * 5000), 4, "macs"),
    "nan": (replaced("seconds", "nan", row=3), 5, "seconds"),
    "infinity": (replaced("macs_nonzero", "inf"), 4, "macs_nonzero"),
    "a wrong count": (replaced("correct", "300"), 4, "300"),
    "fewer seen": (replaced("seen", "299"), 4, "299"),
    "fewer seen, of as many": (
        both(replaced("seen", "299"), replaced("test_images", "299")),
        4,
        "299",
    ),
    "another test set": (replaced("test_images", "10000"), 4, "10000"),
    "another draw": (replaced("subset_seed", "-1"), 4, "subset_seed"),
    "no draw of these images": (replaced("positions", "0123456789abcdef"), 4, "positions"),
    "a draw of everything": (replaced("subset_seed", "4"), 4, "subset_seed is 4"),
    "overrides without ratios": (replaced("overrides", "conv1"), 4, "overrides"),
    "an override beyond all": (replaced("overrides", "conv1=1.5"), 4, "1.5"),
    "an override of nothing": (replaced("overrides", "conv1=nan"), 4, "nan"),
    "an unknown method": (replaced("method", "magic"), 4, "magic"),
    "an unknown criterion": (replaced("criterion", "magic"), 4, "magic"),
    "an unknown recovery": (replaced("recovery", "magic"), 4, "magic"),
    "an unknown precision": (replaced("precision", "fp8"), 4, "fp8"),
    "an impossible ratio": (replaced("ratio", "1.01"), 4, "1.01"),
    "a ratio in thousandths": (replaced("ratio", "0.125"), 4, "0.125"),
    "a ratio of nan": (replaced("ratio", "nan"), 4, "ratio"),
    "a short row": (lambda path: edit(path, lambda lines: lines[3].pop()), 5, "date"),
    "fewer rows": (lambda path: edit(path, lambda lines: lines.pop()), None, "2 rows"),
    "more rows": (lambda path: edit(path, lambda lines: lines.append(lines[1])), None, "4 rows"),
    "an open quote": (with_text(lambda text: text.replace(b",2026", b',"2026', 1)), None, "rows"),
    "an endless cell": (replaced("versions", "x" * 200_000), None, "limit"),
    "not UTF-8": (with_text(lambda text: text.replace(b"torch", b"\xff\xfe")), None, "utf-8"),
    "cut off": (with_text(lambda text: text[: len(text) * 2 // 3]), None, ""),
    "comment only": (with_text(lambda text: text.partition(b"\n")[0]), 1, "column"),
    "empty": (with_text(lambda _: b""), 1, "column"),
    "something else": (with_text(lambda _: b"ratio,accuracy\n0.5,0.9\n"), 1, "column"),
}

OF_THE_ARRAYS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda path: npz_of(path).unlink(), "array of predictions"),
    "truncated": (with_npz(lambda content: content[: len(content) // 2]), ""),
    "empty": (with_npz(lambda _: b""), ""),
    "random": (with_npz(lambda content: np.random.default_rng(0).bytes(len(content))), ""),
    "bits flipped": (bits_flipped, ""),
    "a folder": (a_folder, "array of predictions"),
    "an array without archive": (array_without_archive, ""),
    "pickled objects": (pickled_array, "array of predictions"),
    "a pickle": (pickle_file, "array of predictions"),
    "no labels": (with_arrays(labels=None), "array of predictions"),
    "no predictions": (with_arrays(predictions=None), "predictions"),
    "labels of another type": (with_arrays(labels=LABELS.astype(np.int64)), "int64"),
    "predictions of floats": (with_arrays(predictions=np.zeros((3, WHOLE))), "float64"),
    "predictions of fewer": (
        with_arrays(predictions=np.zeros((3, 9), np.uint8), codes=None),
        "line 3",
    ),
    "predictions of more": (with_arrays(predictions=np.zeros((3, 301), np.uint8)), "(3, 301)"),
    "one dimension": (with_arrays(predictions=LABELS), "(300,)"),
    "no dimensions": (with_arrays(predictions=np.uint8(1), labels=np.uint8(1)), "()"),
    "other labels": (with_arrays(labels=(LABELS + 1) % 10), "line 3"),
    "fewer rows": (with_arrays(predictions=np.zeros((2, WHOLE), np.uint8), codes=None), "for 2"),
    "codes of fewer": (with_arrays(codes=np.zeros((3, 9), np.uint8)), "(3, 9)"),
    "codes of floats": (with_arrays(codes=np.zeros((3, WHOLE))), "float64"),
    "codes that are objects": (with_arrays(codes=np.array([[None]])), "array of predictions"),
    "other predictions": (with_arrays(predictions=np.full((3, WHOLE), 10, np.uint8)), "line 3"),
}


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_shipped(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(("change", "line", "word"), OF_THE_TABLE.values(), ids=OF_THE_TABLE)
def test_a_broken_table_is_refused_by_file_and_line(
    tmp_path: Path, change: Callable[[Path], None], line: int | None, word: str
) -> None:
    path = ship(tmp_path)
    change(path)
    sentence = refusal(path)
    assert sentence.startswith(f"{path}, line {line}: " if line else str(path))
    assert word in sentence.removeprefix(str(path))


@pytest.mark.parametrize(("change", "word"), OF_THE_ARRAYS.values(), ids=OF_THE_ARRAYS)
def test_broken_arrays_are_refused_by_file(
    tmp_path: Path, change: Callable[[Path], None], word: str
) -> None:
    path = ship(tmp_path)
    change(path)
    sentence = refusal(path)
    assert sentence.startswith((str(path), str(npz_of(path))))
    assert word in sentence
    assert not trace_of(path).exists()  # what unpickling would leave


def test_unpickling_would_leave_a_trace(tmp_path: Path) -> None:
    """So that the absence of one means something."""
    path = ship(tmp_path)
    pickle_file(path)
    pickle.loads(npz_of(path).read_bytes())  # noqa: S301
    assert trace_of(path).exists()


def test_a_table_that_is_written_again_by_csv_is_as_good(tmp_path: Path) -> None:
    """So that it is not the rewriting for which the tables above are refused."""
    path = ship(tmp_path)
    edit(path, void)
    with_arrays()(path)
    assert len(read_shipped(path).results) == len(SHIPPED)


def test_other_line_ends_blank_lines_comments_and_columns_change_nothing(tmp_path: Path) -> None:
    path = ship(tmp_path)
    comment, *lines = path.read_text().splitlines()
    lines = [comment, *(f"{line},more" for line in lines)]
    lines.insert(3, "# the strongest")
    lines.insert(2, "")
    path.write_bytes("\r\n".join(lines).encode() + b"\r\n")
    for found, expected in zip(read_shipped(path).results, SHIPPED, strict=True):
        assert differences(found, from_file(expected)) == []
    with_text(lambda text: text.replace(b",channel,0.30,", b",chanel,0.30,"))(path)
    assert refusal(path).startswith(f"{path}, line 7: ")


# Settings at their defaults

OPTIONAL = (
    *("criterion", "allocation", "scope", "seed", "overrides"),
    *("recovery", "recovery_images", "recovery_seed", "architecture", "positions"),
)


def emptied(name: str) -> Callable[[Path], None]:
    return both(*(replaced(name, "", row=row) for row in (1, 2, 3)))


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("change", [without_column, emptied])
def test_a_missing_column_or_an_empty_cell_means_the_default(
    tmp_path: Path, name: str, change: Callable[[str], Callable[[Path], None]]
) -> None:
    path = ship(tmp_path)
    change(name)(path)
    for found, expected in zip(read_shipped(path).results, SHIPPED, strict=True):
        assert differences(found, from_file(expected)) == []


def test_other_settings_and_architectures_are_written_and_read(tmp_path: Path) -> None:
    others = [
        result_of(key_of("channel", architecture='resnet50 {"stem":7}')),
        result_of(key_of("channel", architecture="resnet50", spec={"criterion": "l2"})),
    ]
    found = {result.key: result for result in read_shipped(ship(tmp_path, *others)).results}
    for result in others:
        assert differences(found[result.key], from_file(result)) == []


def test_predictions_of_many_classes_are_written_and_read(tmp_path: Path) -> None:
    labels = (np.arange(WHOLE) * 3 % 1000).astype(np.uint16)
    wide = result_of(key_of("fine", 0.1), predictions=labels, labels=labels)
    narrow = result_of(key_of("fine", 0.2), predictions=LABELS, labels=labels)
    path = tmp_path / NAME
    export([wide, narrow], path, "", labels)
    shipped = read_shipped(path)
    assert shipped.test_labels.tolist() == labels.tolist()
    for found, expected in zip(shipped.results, (wide, narrow), strict=True):
        assert differences(found, from_file(expected)) == []


# What ships with the repository

SHIPPED_FILES = sorted(CHECKPOINTS.glob(f"*{RESULTS_SUFFIX}"))
DEFAULTS = {"criterion": "l1", "allocation": "uniform", "scope": "all", "seed": "0"}


def columns_of(row: dict[str, str]) -> dict[str, object]:
    """The key of a row of a CSV as the columns of SQLite, spelt out here."""
    settings: dict[str, object] = {
        name: row[name] for name in ("method", *DEFAULTS) if row[name] != DEFAULTS.get(name)
    }
    for name, usual in (("floor", 0.0), ("ceiling", 1.0)):
        if float(row.get(name, usual)) != usual:
            settings[name] = float(row[name])
    if float(row.get("rest_ratio", "0")):
        settings["rest_ratio"] = float(row["rest_ratio"])
    if row.get("evidence"):
        settings["evidence"] = row["evidence"]
    if row["overrides"]:
        pairs = [pair.split("=") for pair in row["overrides"].split()]
        settings["overrides"] = [[name, float(ratio)] for name, ratio in pairs]
    recovery: dict[str, object] = {"method": row["recovery"]}
    if row["recovery"] not in ("none", "merge"):
        recovery |= {"images": int(row["recovery_images"]), "seed": int(row["recovery_seed"])}
    if row["recovery"] == "finetune":
        recovery |= {name: row[f"recovery_{name}"] for name in ("start", "targets")}
        if row["recovery_prunings"] != "1":
            recovery["prunings"] = int(row["recovery_prunings"])
    return {
        **{name: row[name] for name in ("checkpoint", "data", "precision")},
        "architecture": row.get("architecture", "resnet18"),
        "algorithm": int(row["algorithm"]),
        "settings": json.dumps(settings, sort_keys=True, separators=(",", ":")),
        "recovery": json.dumps(recovery, sort_keys=True, separators=(",", ":")),
        "hundredths": round(100 * float(row["ratio"])),
        "subset": int(row["seen"]),
        "subset_seed": int(row["subset_seed"]),
    }


@pytest.fixture(scope="module")
def of_the_repository(tmp_path_factory: pytest.TempPathFactory) -> ResultStore:
    store = ResultStore(tmp_path_factory.mktemp("local") / "results.sqlite", CHECKPOINTS)
    assert store.notes == []
    return store


@pytest.mark.parametrize("file", SHIPPED_FILES, ids=lambda file: file.name)
def test_every_shipped_result_is_found_under_its_old_key(
    of_the_repository: ResultStore, file: Path
) -> None:
    header, *lines = lines_of(file)
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert {row["algorithm"] for row in rows} == {"1"}
    results = read_shipped(file).results
    assert len(results) == len(rows) > 10
    with closing(sqlite3.connect(of_the_repository.path)) as connection:
        for row in rows:
            columns = columns_of(row)
            condition = " AND ".join(f"{name} = :{name}" for name in columns)
            found = connection.execute(
                f"SELECT correct, loss_sum, macs FROM results WHERE {condition}", columns
            ).fetchall()
            assert found == [(int(row["correct"]), float(row["loss_sum"]), int(row["macs"]))]
    for result in results:
        assert differences(of_the_repository.get(result.key), result) == []


@pytest.mark.parametrize("file", SHIPPED_FILES, ids=lambda file: file.name)
def test_a_shipped_file_that_is_written_again_says_the_same(file: Path, tmp_path: Path) -> None:
    shipped = read_shipped(file)
    again = tmp_path / file.name
    export(shipped.results, again, "", shipped.test_labels)
    with np.load(npz_of(file)) as before, np.load(npz_of(again)) as after:
        for name in ("labels", "predictions"):
            assert after[name].dtype == np.uint8
            assert np.array_equal(after[name], before[name])
    header, *rows = lines_of(file)
    new_header, *new_rows = lines_of(again)
    places = [new_header.index(name) for name in header]
    assert [[row[place] for place in places] for row in new_rows] == rows


# Taking in


def test_an_opened_store_has_what_ships_and_says_from_which_file(
    tmp_path: Path, path: Path
) -> None:
    ship(tmp_path, *SHIPPED)
    ship(tmp_path, *VARIED[3:], name="more")
    shutil.copy(tmp_path / NAME, tmp_path / "other.csv")  # none of ours by its name
    store = ResultStore(path, tmp_path)
    assert store.notes == []
    for result in VARIED:
        name = NAME if result in SHIPPED else "more.results.csv"
        assert differences(store.get(result.key), from_file(result, name)) == []
        assert differences(store.find(result.key), from_file(result, name)) == []
    with closing(sqlite3.connect(path)) as connection:
        rows = dict(connection.execute("SELECT file, count(*) FROM results GROUP BY file"))
    assert rows == {NAME: 3, "more.results.csv": 8}


def test_what_ships_of_a_part_of_the_test_set_is_taken_in(tmp_path: Path, path: Path) -> None:
    result = result_of(key_of(subset=100, subset_seed=2))
    ship(tmp_path, result)
    store = ResultStore(path, tmp_path)
    assert differences(store.find(result.key), from_file(result)) == []
    assert store.find(key_of()) is None
    labels = store.test_labels(result.key.data)
    assert labels is not None
    assert labels.tolist() == LABELS.tolist()


def test_what_ships_answers_for_subsets(tmp_path: Path, path: Path) -> None:
    ship(tmp_path)
    asked = replace(SHIPPED[0].key, subset=100, subset_seed=9, precision="fp32")
    found = ResultStore(path, tmp_path).find(asked)
    assert differences(found, from_file(SHIPPED[0])) == []


def test_what_is_unchanged_is_not_read_again(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(tmp_path)
    ship(tmp_path, *VARIED[3:], name="more")
    broken = ship(tmp_path, name="broken")
    npz_of(broken).unlink()
    first = ResultStore(path, tmp_path)
    assert len(first.notes) == 1
    read = []

    def note(file: Path) -> Shipped:
        read.append(file.name)
        return read_shipped(file)

    monkeypatch.setattr("core.results.importer.read_shipped", note)
    first.refresh()
    assert read == []
    assert len(first.notes) == 1
    second = ResultStore(path, tmp_path)  # which cannot know that the broken one was refused
    assert read == ["broken.results.csv"]
    assert second.has(SHIPPED[0].key)
    assert len(second.notes) == 1


@pytest.mark.parametrize("again", [False, True], ids=["refreshed", "opened again"])
def test_a_file_that_changed_is_taken_in_again(tmp_path: Path, path: Path, again: bool) -> None:
    ship(tmp_path)
    store = ResultStore(path, tmp_path)
    new = [result_of(SHIPPED[0].key, 1), result_of(key_of("fine", 0.7))]
    ship_later(tmp_path, *new)
    if again:
        store = ResultStore(path, tmp_path)
    else:
        store.refresh()
    for result in new:
        assert differences(store.get(result.key), from_file(result)) == []
    assert not store.has(SHIPPED[1].key)
    assert store.notes == []


def test_a_change_that_leaves_the_size_is_seen(tmp_path: Path, path: Path) -> None:
    file = ship(tmp_path)
    store = ResultStore(path, tmp_path)
    size = file.stat().st_size
    ship_later(tmp_path)
    with_text(lambda text: text.replace(b"2026-11-", b"2027-11-"))(file)
    os.utime(file, ns=(npz_of(file).stat().st_mtime_ns,) * 2)
    assert file.stat().st_size == size
    store.refresh()
    found = store.get(SHIPPED[0].key)
    assert found is not None
    assert found.origin.date.startswith("2027-11-")


def test_a_file_that_comes_later_is_taken_in(tmp_path: Path, path: Path) -> None:
    store = ResultStore(path, tmp_path / "later")
    ship(tmp_path / "later")
    assert not store.has(SHIPPED[0].key)
    store.refresh()
    assert store.has(SHIPPED[0].key)


def test_what_came_with_a_file_goes_with_it(tmp_path: Path, path: Path) -> None:
    ship(tmp_path, *SHIPPED)
    ship(tmp_path, *VARIED[3:], name="more")
    store = ResultStore(path, tmp_path)
    put(store, result_of(key_of("fine", 0.9)))
    (tmp_path / NAME).unlink()
    store.refresh()
    assert [store.has(result.key) for result in SHIPPED] == [False] * 3
    assert all(store.has(result.key) for result in VARIED[3:])
    assert store.has(key_of("fine", 0.9))
    assert store.notes == []
    ship(tmp_path, *SHIPPED)
    store.refresh()
    assert store.has(SHIPPED[0].key)


def test_a_result_of_this_machine_stays_whatever_ships(tmp_path: Path, path: Path) -> None:
    key = SHIPPED[0].key
    store = ResultStore(path, tmp_path)
    local = result_of(key, 1)
    put(store, local)
    ship(tmp_path)
    store.refresh()
    assert differences(store.get(key), local) == []
    assert store.has(SHIPPED[1].key)
    ship_later(tmp_path, result_of(key, 2))
    store.refresh()
    assert differences(store.get(key), local) == []
    assert not store.has(SHIPPED[1].key)
    (tmp_path / NAME).unlink()
    assert differences(ResultStore(path, tmp_path).get(key), local) == []


def test_a_result_measured_here_replaces_one_that_shipped(tmp_path: Path, path: Path) -> None:
    key = SHIPPED[0].key
    ship(tmp_path)
    store = ResultStore(path, tmp_path)
    local = result_of(key, 1)
    put(store, local)
    assert differences(store.get(key), local) == []
    ship_later(tmp_path, result_of(key, 2))
    store.refresh()
    assert differences(store.get(key), local) == []


BROKEN: dict[str, Callable[[Path], None]] = {
    **{f"table: {name}": change for name, (change, *_) in OF_THE_TABLE.items()},
    **{f"arrays: {name}": change for name, (change, _) in OF_THE_ARRAYS.items()},
}


@pytest.mark.parametrize("first", ["shipped", "measured"])
def test_what_ships_is_known_as_shipped_also_where_it_was_measured_here(
    tmp_path: Path, path: Path, first: str
) -> None:
    here, other = result_of(SHIPPED[1].key, version=1), result_of(key_of("fine", 0.7))
    if first == "shipped":
        ship(tmp_path)
    store = ResultStore(path, tmp_path)
    put(store, here, other)
    file = ship(tmp_path)
    store.refresh()
    found = {each.key: each for each in store.shipped_on_everything(here.key.data)}
    assert found.keys() == {each.key for each in SHIPPED}
    assert differences(found[here.key], here) == []
    file.unlink()
    store.refresh()
    assert list(store.shipped_on_everything(here.key.data)) == []
    assert differences(store.get(here.key), here) == []


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_leaves_a_note_and_the_rest_at_work(
    tmp_path: Path, path: Path, change: Callable[[Path], None]
) -> None:
    broken = ship(tmp_path, name="broken")
    change(broken)
    sentence = refusal(broken)
    ship(tmp_path, *VARIED[3:], name="more")
    store = ResultStore(path, tmp_path)
    assert store.notes == [sentence]
    assert [store.has(result.key) for result in SHIPPED] == [False] * 3
    assert all(store.has(result.key) for result in VARIED[3:])
    put(store, result_of(key_of("fine", 0.9)))
    assert store.has(key_of("fine", 0.9))
    store.refresh()
    assert store.notes == [sentence]  # told once


def test_a_file_that_is_repaired_is_taken_in(tmp_path: Path, path: Path) -> None:
    broken = ship(tmp_path)
    npz_of(broken).rename(tmp_path / "elsewhere")
    store = ResultStore(path, tmp_path)
    assert not store.has(SHIPPED[0].key)
    assert len(store.notes) == 1
    (tmp_path / "elsewhere").rename(npz_of(broken))
    store.refresh()
    assert store.has(SHIPPED[0].key)
    assert store.notes == []


def test_a_broken_file_that_is_taken_away_is_not_spoken_of(tmp_path: Path, path: Path) -> None:
    broken = ship(tmp_path)
    npz_of(broken).unlink()
    store = ResultStore(path, tmp_path)
    assert len(store.notes) == 1
    broken.unlink()
    store.refresh()
    assert store.notes == []


@pytest.mark.parametrize("name", ["table: a wrong count", "arrays: missing"])
def test_what_was_taken_in_stays_when_its_file_breaks(
    tmp_path: Path, path: Path, name: str
) -> None:
    ship(tmp_path)
    ResultStore(path, tmp_path)
    file = ship_later(tmp_path)
    BROKEN[name](file)
    store = ResultStore(path, tmp_path)
    assert len(store.notes) == 1
    for result in SHIPPED:
        assert differences(store.get(result.key), from_file(result)) == []


def test_a_loss_that_is_no_number_ships(tmp_path: Path) -> None:
    losses = [float("inf"), float("nan")]
    for loss in losses:
        (found,) = read_shipped(ship(tmp_path, result_of(key_of(), loss_sum=loss))).results
        assert str(found.loss_sum) == str(loss)


def test_a_key_in_two_files_outlives_one(tmp_path: Path, path: Path) -> None:
    ship(tmp_path, name="a")
    ship(tmp_path, name="b")
    store = ResultStore(path, tmp_path)
    first = store.get(SHIPPED[0].key)
    assert first is not None
    (tmp_path / first.origin.file).unlink()
    store.refresh()
    assert store.has(SHIPPED[0].key)


def test_the_name_of_the_array_file_is_refused_for_the_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="array file"):
        export(SHIPPED, tmp_path / "x.npz", "", LABELS)
    assert list(tmp_path.iterdir()) == []
