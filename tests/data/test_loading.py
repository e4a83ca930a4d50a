"""Where CIFAR-10 and CIFAR-100 are looked for, the cache of what was read, and the download."""

import hashlib
import io
import itertools
import os
import signal
import socket
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from core.data import cifar, loading
from core.data.cifar import CIFAR10, CIFAR100, Cifar
from core.data.dataset import DataMissingError, DataSet
from core.data.loading import download, find_cifar, load
from core.errors import InputError
from tests.data import (
    SIZES,
    Parts,
    some_parts,
    write_batches,
    write_cifar100,
    write_parquet,
)

CACHE = "cifar10.safetensors"
ARCHIVE = "/cifar-10-python.tar.gz"


@pytest.fixture(autouse=True)
def small_and_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "SIZES", SIZES)
    for each in cifar.BOTH.values():
        monkeypatch.delenv(each.variable, raising=False)


@pytest.fixture
def refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(layout: cifar.Layout) -> None:
        pytest.fail(f"{layout.description} was decoded again")

    return lambda: monkeypatch.setattr(loading, "read", refuse)


def assert_holds(dataset: DataSet, parts: Parts) -> None:
    for part, (images, labels) in parts.items():
        np.testing.assert_array_equal(getattr(dataset, f"{part}_images").numpy(), images)
        np.testing.assert_array_equal(getattr(dataset, f"{part}_labels").numpy(), labels)


def refusal(data_folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(data_folder=data_folder)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_the_configured_folder_comes_before_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "data", some_parts(seed=1))
    write_batches(tmp_path / "configured", some_parts(seed=2))
    assert_holds(load(data_folder=tmp_path / "data"), some_parts(seed=1))
    monkeypatch.setenv("CIFAR10_DIR", str(tmp_path / "configured"))
    dataset = load(data_folder=tmp_path / "data")
    assert_holds(dataset, some_parts(seed=2))
    assert str(tmp_path / "configured") in dataset.source


def test_cifar10_that_is_nowhere_is_missing_and_how_to_get_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"CIFAR10_DIR.+download it\.$"):
        load(data_folder=tmp_path)


def test_a_configured_folder_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "data", some_parts())
    monkeypatch.setenv("CIFAR10_DIR", str(tmp_path / "mistyped"))
    text = refusal(tmp_path / "data")
    assert str(tmp_path / "mistyped") in text
    assert "Correct or unset it" in text


def test_a_configured_folder_must_hold_cifar10(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR10_DIR", str(tmp_path))
    text = refusal(tmp_path / "data")
    for name in (str(tmp_path), "train-00000-of-00001.parquet", "cifar-10-batches-py"):
        assert name in text


def test_the_second_start_decodes_nothing_and_gives_the_same(
    tmp_path: Path, refuse_to_decode: Callable[[], None]
) -> None:
    write_parquet(tmp_path, some_parts())
    first = load(data_folder=tmp_path)
    refuse_to_decode()
    second = load(data_folder=tmp_path)
    assert_holds(second, some_parts())
    assert second.fingerprint == first.fingerprint
    assert second.notes == ()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    write_parquet(tmp_path, some_parts(seed=1))
    load(data_folder=tmp_path)
    write_parquet(tmp_path, some_parts(seed=2))
    for path in tmp_path.glob("*.parquet"):
        os.utime(path, (1, 1))  # however coarse the clock of the file system is
    assert_holds(load(data_folder=tmp_path), some_parts(seed=2))


@pytest.mark.parametrize("layout", ["parquet", "batches"])
@pytest.mark.parametrize("place", ["configured", "data", "data/cifar100"])
def test_cifar100_is_found_beside_cifar10(
    layout: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their parquet files have the same names, so one folder holds those of one only."""
    parts = some_parts(seed=3, classes=100)
    data = tmp_path / "data"
    write_cifar100(layout, tmp_path / place, parts)
    (write_batches if place == "data" else write_parquet)(data, some_parts())
    if place == "configured":
        monkeypatch.setenv("CIFAR100_DIR", str(tmp_path / place))
    for _ in range(2):  # from the files, then from the cache
        dataset = load("cifar100", data)
        assert_holds(dataset, parts)
        assert (dataset.classes, dataset.class_names[99]) == (100, "worm")
        assert dataset.normalisation == CIFAR100.normalisation != CIFAR10.normalisation
        assert_holds(load("cifar10", data), some_parts())


@pytest.mark.parametrize("each", cifar.BOTH.values(), ids=list(cifar.BOTH))
def test_the_parquet_files_of_the_other_data_set_are_not_taken(
    each: Cifar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if each is CIFAR10:
        write_cifar100("parquet", tmp_path, some_parts(classes=100))
    else:
        write_parquet(tmp_path, some_parts())
    with pytest.raises(DataMissingError, match=f"^{each.title} is not on this machine. .+it.$"):
        load(each.name, tmp_path)
    monkeypatch.setenv(each.variable, str(tmp_path))
    with pytest.raises(InputError, match=f"which holds neither {each.title}'s"):
        load(each.name, tmp_path)


def test_cifar100_is_downloaded_from_its_own_archive() -> None:
    assert loading.archive_address(CIFAR100) == datasets.CIFAR100.url != datasets.CIFAR10.url


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_damaged_cache_is_made_again(size: int, tmp_path: Path) -> None:
    write_batches(tmp_path, some_parts())
    load(data_folder=tmp_path)
    whole = (tmp_path / CACHE).read_bytes()
    (tmp_path / CACHE).write_bytes(whole[:size])
    assert_holds(load(data_folder=tmp_path), some_parts())
    assert (tmp_path / CACHE).read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_noted_and_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "configured", some_parts())
    monkeypatch.setenv("CIFAR10_DIR", str(tmp_path / "configured"))
    no_folder = tmp_path / "data"
    no_folder.write_text("a file")
    dataset = load(data_folder=no_folder)
    assert_holds(dataset, some_parts())
    (note,) = dataset.notes
    assert f"could not be cached in {no_folder}" in note
    assert no_folder.read_text() == "a file"


def test_damage_is_not_cached(tmp_path: Path) -> None:
    write_batches(tmp_path, some_parts())
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"")
    assert "data_batch_2" in refusal(tmp_path)
    assert not (tmp_path / CACHE).exists()


class Site(HTTPServer):
    """Serves one archive from this machine."""

    archive = b""
    announced: int | None = None  # its length, where that is to be a lie

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        if self.path != ARCHIVE:
            self.send_error(404)
            return
        content = self.server.archive
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.announced or len(content)))
        self.end_headers()
        with suppress(ConnectionError):  # where the test hangs up
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


def archive_of(parts: Parts, folder: Path) -> bytes:
    write_batches(folder, parts)
    return packed(folder, "cifar-10-batches-py")


def packed(folder: Path, name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as opened:
        opened.add(folder / name, name)
    return buffer.getvalue()


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A site whose archive is the real one as far as torchvision's checksum tells."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(SIZES, "train", 200)  # so that the archive comes in several pieces
    with Site(("127.0.0.1", 0), Handler) as server:
        server.archive = archive_of(some_parts(), tmp_path_factory.mktemp("site"))
        checksum = hashlib.md5(server.archive, usedforsecurity=False).hexdigest()
        monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", checksum)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def failure(data_folder: Path, url: str) -> str:
    with pytest.raises(InputError) as caught:
        list(download(CIFAR10, data_folder, url))
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_download_is_unpacked_and_the_archive_removed(site: Site, tmp_path: Path) -> None:
    events = list(download(CIFAR10, tmp_path, site.address + ARCHIVE))
    received = [event.received for event in events]
    assert len(received) > 1
    assert received == sorted(set(received))
    assert received[-1] == len(site.archive)
    assert {event.total for event in events} == {len(site.archive)}
    assert names_in(tmp_path) == ["cifar-10-batches-py"]
    assert_holds(load(data_folder=tmp_path), some_parts())


def test_cifar100_is_downloaded_and_read(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = some_parts(seed=4, classes=100)
    write_cifar100("batches", tmp_path / "source", parts)
    site.archive = packed(tmp_path / "source", "cifar-100-python")
    address = site.address + ARCHIVE
    with pytest.raises(InputError, match=r"not CIFAR-100's archive .+ CIFAR100_DIR"):
        list(download(CIFAR100, tmp_path / "data", address))
    checksum = hashlib.md5(site.archive, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", checksum)
    list(download(CIFAR100, tmp_path / "data", address))
    assert names_in(tmp_path / "data") == ["cifar-100-python"]
    assert_holds(load("cifar100", tmp_path / "data"), parts)


def test_a_dropped_download_leaves_nothing(site: Site, tmp_path: Path) -> None:
    dropped = download(CIFAR10, tmp_path, site.address + ARCHIVE)
    assert 0 < next(dropped).received < len(site.archive)
    dropped.close()  # type: ignore[attr-defined]
    assert names_in(tmp_path) == []


WRITING_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod"}


def killed_at(step: int, data_folder: Path, url: str) -> bool:
    """Download in a child that kills itself before its `step`th change of the file system.

    Returns False where the download was finished before.
    """
    child = os.fork()
    if child == 0:
        steps = itertools.count()

        def kill_itself(event: str, arguments: tuple[Any, ...]) -> None:
            if event not in WRITING_EVENTS or str(data_folder) not in str(arguments[0]):
                return
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill_itself)
        with suppress(BaseException):
            list(download(CIFAR10, data_folder, url))
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@pytest.mark.parametrize("before", ["nothing", "batches in part"])
def test_a_download_that_is_killed_at_any_step_leaves_all_or_nothing(
    site: Site, tmp_path: Path, before: str
) -> None:
    states = []
    for step in itertools.count():
        folder = tmp_path / str(step)
        if before != "nothing":
            write_batches(folder, some_parts(seed=1))
            (folder / "cifar-10-batches-py" / "data_batch_3").unlink()
        if not killed_at(step, folder, site.address + ARCHIVE):
            break
        try:
            layout = find_cifar(CIFAR10, folder)
        except DataMissingError:
            assert before != "nothing"
            layout = None
        states.append(layout is not None)
        list(download(CIFAR10, folder, site.address + ARCHIVE))
        assert_holds(load(data_folder=folder), some_parts())
    assert states == sorted(states)  # first without, then with
    assert {False, True} == set(states)
    assert len(states) > 10


def test_batches_in_part_are_missing_data_and_a_complete_layout_beside_them_is_read(
    tmp_path: Path,
) -> None:
    write_batches(tmp_path, some_parts())
    (tmp_path / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(DataMissingError, match="test_batch is missing"):
        load(data_folder=tmp_path)
    write_parquet(tmp_path, some_parts(seed=2))
    assert_holds(load(data_folder=tmp_path), some_parts(seed=2))


def test_a_download_keeps_what_another_process_downloaded_meanwhile(
    site: Site, tmp_path: Path
) -> None:
    slow = download(CIFAR10, tmp_path, site.address + ARCHIVE)
    next(slow)
    list(download(CIFAR10, tmp_path, site.address + ARCHIVE))
    (first,) = tmp_path.glob("cifar-10-batches-py")
    identity = first.stat().st_ino
    list(slow)
    assert first.stat().st_ino == identity
    assert_holds(load(data_folder=tmp_path), some_parts())


def test_another_archive_is_refused_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.archive += b"tampered"
    text = failure(tmp_path, site.address + ARCHIVE)
    assert site.address in text
    assert "checksum differs" in text
    assert names_in(tmp_path) == []


def test_a_broken_off_download_is_refused_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.announced = len(site.archive) + 1
    assert "could not be downloaded" in failure(tmp_path, site.address + ARCHIVE)
    assert names_in(tmp_path) == []


def test_a_site_without_the_archive_is_said(site: Site, tmp_path: Path) -> None:
    text = failure(tmp_path, site.address + "/elsewhere")
    assert f"could not be downloaded from {site.address}/elsewhere (HTTPError)" in text
    assert names_in(tmp_path) == []


def test_a_refused_connection_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}{ARCHIVE}"
        text = failure(tmp_path, url)
    assert f"could not be downloaded from {url} (ConnectionError)" in text
    assert "CIFAR10_DIR" in text
    assert names_in(tmp_path) == []


def test_a_full_disk_is_said_and_leaves_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack_half(opened: tarfile.TarFile, path: str, **_: object) -> None:
        opened.extract("cifar-10-batches-py/data_batch_1", path, filter="data")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", unpack_half)
    text = failure(tmp_path, site.address + ARCHIVE)
    assert f"could not be saved in {tmp_path}" in text
    assert names_in(tmp_path) == []


def test_a_data_folder_that_is_a_file_is_said(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("a file")
    assert f"could not be saved in {file}" in failure(file, site.address + ARCHIVE)
    assert file.read_text() == "a file"


def test_a_failed_download_leaves_the_archive_that_somebody_put_there(
    site: Site, tmp_path: Path
) -> None:
    theirs = tmp_path / ARCHIVE[1:]
    theirs.write_text("fetched by hand")
    site.archive += b"tampered"
    failure(tmp_path, site.address + ARCHIVE)
    assert theirs.read_text() == "fetched by hand"
