"""A file is there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.files import write_together, written_atomically, written_once


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_the_block_is_done(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    with written_atomically(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent  # so that renaming stays on one file system
    assert path.read_text() == "whole"
    assert names_in(path.parent) == ["file"]


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_an_interrupted_block_leaves_the_previous_file(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_text("previous")

    def write_half() -> None:
        with written_atomically(path) as temporary:
            temporary.write_text("ha")
            raise interruption

    with pytest.raises(interruption):
        write_half()
    assert path.read_text() == "previous"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_previous_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file"
    path.write_text("previous")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space"), written_atomically(path) as temporary:
        temporary.write_text("next")
    assert path.read_text() == "previous"
    assert names_in(tmp_path) == ["file"]


def test_a_block_that_replaces_the_temporary_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with written_atomically(path) as temporary:
        other = tmp_path / "other"
        other.write_text("by another writer")
        other.replace(temporary)
    assert path.read_text() == "by another writer"


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has a umask")
def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    with written_atomically(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == ordinary.stat().st_mode


def test_a_folder_that_is_a_file_raises_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError), written_atomically(tmp_path / "file" / "inside"):
        pass


def write_new(path: Path, text: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    with written_once(path) as temporary:
        temporary.write_text(text)
        meanwhile()


def test_of_two_new_files_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(FileExistsError):
        write_new(path, "late", meanwhile=lambda: write_new(path, "early"))
    assert path.read_text() == "early"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "file"
    write_new(path, "first")
    with pytest.raises(FileExistsError):
        write_new(path, "second")
    assert path.read_text() == "first"


def test_several_files_are_written_together(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    write_together({folder / "first": b"1", folder / "second": b"2"})
    assert (folder / "first").read_bytes() + (folder / "second").read_bytes() == b"12"
    assert names_in(folder) == ["first", "second"]
    write_together({folder / "first": b"3", folder / "third": b"4"}, overwrite=True)
    assert names_in(folder) == ["first", "second", "third"]
    assert (folder / "first").read_bytes() == b"3"


@pytest.mark.parametrize("interruption", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("failing", ["fsync", "replace", "link"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_if_one_file_fails_none_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interruption: type[BaseException],
    failing: str,
    call: int,
) -> None:
    there = [tmp_path / name for name in ("a", "b")]
    for path in there:
        path.write_text("previous")
    new = [tmp_path / "folder" / name for name in ("c", "d")]
    works, calls = getattr(os, failing), iter(range(1, 9))

    def fail(*arguments: object) -> None:
        if next(calls) == call:
            raise interruption
        works(*arguments)

    monkeypatch.setattr(os, failing, fail)
    contents = dict.fromkeys((there[0], new[0], there[1], new[1]), b"next")
    try:
        write_together(contents, overwrite=True)
    except interruption:
        assert names_in(tmp_path) == ["a", "b"]
        assert [path.read_text() for path in there] == ["previous", "previous"]
    else:  # as many calls were not needed
        assert [path.read_bytes() for path in contents] == 4 * [b"next"]


def test_a_file_that_is_there_stops_all_others(tmp_path: Path) -> None:
    (tmp_path / "second").write_text("previous")
    with pytest.raises(FileExistsError):
        write_together({tmp_path / "first": b"1", tmp_path / "second": b"2"})
    assert names_in(tmp_path) == ["second"]
    assert (tmp_path / "second").read_text() == "previous"
