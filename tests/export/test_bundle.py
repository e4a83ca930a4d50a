"""Several formats together: all files or none."""

import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.errors import InputError
from core.export import formats
from core.export.bundle import Bundle, Exporting, check_formats, export, write
from core.networks.batch_norm import finished
from tests.conftest import full_disk
from tests.export.subjects import small_network, subject

pytestmark = pytest.mark.usefixtures("traced_in_this_process")

CONTENTS: Mapping[str, bytes] = {"a.pt": b"weights", "a.py": b"code"}


def test_progress_comes_before_each_format() -> None:
    steps = export(subject(small_network()), ["torch", "safetensors"], "network")
    assert next(steps) == Exporting("torch", 0, 2)
    assert next(steps) == Exporting("safetensors", 1, 2)
    with pytest.raises(StopIteration) as end:
        next(steps)
    bundle = end.value.value
    assert isinstance(bundle, Bundle)
    assert list(bundle.files) == ["network.pt", "network.py", "network.safetensors"]
    digest = hashlib.sha256(bundle.files["network.pt"]).hexdigest()
    assert bundle.hashes["network.pt"] == digest


def test_a_zip_archive_holds_every_file_and_nothing_else() -> None:
    bundle = Bundle(CONTENTS, {})
    archive = zipfile.ZipFile(io.BytesIO(bundle.zipped()))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == CONTENTS
    assert bundle.zipped() == bundle.zipped()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [([], "Choose one or more formats"), (["tflite"], "There is no format 'tflite'")],
)
def test_unknown_formats_are_refused(chosen: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_formats(chosen)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_before_any_work(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"{package} is not installed: pip install -r"):
        next(export(subject(small_network()), ["torch", "onnx"], "network"))


@pytest.mark.parametrize("name", ["a/b", "n" * 300])
def test_a_bad_name_is_refused_before_any_work(name: str) -> None:
    with pytest.raises(InputError, match="cannot be named"):
        next(export(subject(small_network()), ["torch"], name))


def in_folder(folder: Path) -> dict[Path, bytes]:
    return {folder / name: content for name, content in CONTENTS.items()}


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with full_disk(), pytest.raises(InputError, match="There is no space") as said:
        write(in_folder(folder))
    assert "\n" not in str(said.value)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter((False, True))
    works = os.fsync

    def fill(descriptor: int) -> None:
        if next(calls):
            raise OSError(28, "No space left on device")
        works(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(InputError, match=r"There is no space .*No space left"):
        write(in_folder(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("previous")
    with pytest.raises(InputError, match=r"a\.py exists already"):
        write(in_folder(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
    write(in_folder(tmp_path), overwrite=True)
    assert (tmp_path / "a.py").read_bytes() == b"code"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(in_folder(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot be written"):
        write(in_folder(tmp_path / ("n" * 300)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_export_that_stops_half_way_has_written_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(formats.WRITERS, "torch", stop)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        finished(export(subject(small_network()), ["safetensors", "torch"], "network"))
    assert list(tmp_path.iterdir()) == []
