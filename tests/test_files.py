"""A file is there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.files import written_atomically, written_once


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
