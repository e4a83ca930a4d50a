"""Both layouts of CIFAR-10 and CIFAR-100 are read, and a file that is not right is refused."""

import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data import cifar
from core.data.cifar import CIFAR10, CIFAR100
from core.data.dataset import DataSet
from core.errors import InputError
from tests.data import (
    SIZES,
    Parts,
    batch,
    encoded,
    python2_pickle,
    some_parts,
    write_batches,
    write_cifar100,
    write_parquet,
    write_table,
)

WRITERS = {"parquet": write_parquet, "batches": write_batches}
TEST_PARQUET = "test-00000-of-00001.parquet"


def read(folder: Path) -> Parts:
    layout = cifar.find_layout(CIFAR10, folder)
    assert layout is not None
    return cifar.read(layout, SIZES)


def refusal(folder: Path) -> str:
    """The one sentence (or two) with which what lies in `folder` is refused."""
    with pytest.raises(InputError) as caught:
        read(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def assert_same(found: Parts, expected: Parts) -> None:
    assert set(found) == set(expected)
    for part, (images, labels) in expected.items():
        assert found[part][0].dtype == np.uint8
        assert found[part][1].dtype == np.int64
        np.testing.assert_array_equal(found[part][0], images)
        np.testing.assert_array_equal(found[part][1], labels)


@pytest.mark.filterwarnings("error")  # such as NumPy's for its old module names
@pytest.mark.parametrize("layout", WRITERS)
def test_every_pixel_and_label_is_read(layout: str, tmp_path: Path) -> None:
    WRITERS[layout](tmp_path, some_parts())
    assert_same(read(tmp_path), some_parts())


def test_jpeg_images_are_read_too(tmp_path: Path) -> None:
    ramp = np.linspace(0, 240, 32).astype(np.uint8)
    smooth = np.broadcast_to(np.stack([ramp, ramp[::-1], ramp // 2])[:, None], (3, 32, 32))
    parts = {
        part: (np.stack([smooth] * size), np.zeros(size, dtype=int)) for part, size in SIZES.items()
    }
    write_parquet(tmp_path, parts, "JPEG")
    images, _ = read(tmp_path)["test"]
    assert np.abs(images.astype(int) - smooth).max() <= 20  # lossy, and colours are subsampled


def test_the_folder_of_the_batches_itself_will_do(tmp_path: Path) -> None:
    write_batches(tmp_path, some_parts())
    assert_same(read(tmp_path / "cifar-10-batches-py"), some_parts())


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_batch_pickled_by_todays_python_is_read(protocol: int, tmp_path: Path) -> None:
    images, labels = some_parts()["test"]
    write_batches(tmp_path, some_parts())
    today = {name.encode(): value for name, value in batch(images, labels.tolist()).items()}
    file = tmp_path / "cifar-10-batches-py" / "test_batch"
    file.write_bytes(pickle.dumps(today, protocol))
    assert_same(read(tmp_path), some_parts())


def test_parquet_comes_before_batches(tmp_path: Path) -> None:
    write_batches(tmp_path, some_parts(seed=1))
    write_parquet(tmp_path, some_parts(seed=2))
    assert_same(read(tmp_path), some_parts(seed=2))


def test_a_folder_with_neither_has_no_layout(tmp_path: Path) -> None:
    assert cifar.find_layout(CIFAR10, tmp_path) is None
    assert cifar.find_layout(CIFAR10, tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("parquet", "train-00000-of-00001.parquet"),
        ("parquet", TEST_PARQUET),
        ("batches", "cifar-10-batches-py/data_batch_3"),
        ("batches", "cifar-10-batches-py/test_batch"),
    ],
)
class TestEachFile:
    def test_a_missing_one_is_named(self, layout: str, file: str, tmp_path: Path) -> None:
        WRITERS[layout](tmp_path, some_parts())
        (tmp_path / file).unlink()
        assert f"{Path(file).name} is missing. Put it back" in refusal(tmp_path)

    @pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.99])
    def test_a_truncated_one_is_named(
        self, layout: str, file: str, part: float, tmp_path: Path
    ) -> None:
        WRITERS[layout](tmp_path, some_parts())
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(content[: int(part * len(content))])
        assert str(tmp_path / file) in refusal(tmp_path)

    def test_a_foreign_one_is_named(self, layout: str, file: str, tmp_path: Path) -> None:
        WRITERS[layout](tmp_path, some_parts())
        (tmp_path / file).write_text("<html>Sign in to the network</html>\n" * 40)
        assert str(tmp_path / file) in refusal(tmp_path)


def test_other_columns_are_named(tmp_path: Path) -> None:
    write_parquet(tmp_path, some_parts())
    pq.write_table(pa.table({"image": [1], "class": [2]}), tmp_path / TEST_PARQUET)
    text = refusal(tmp_path)
    assert TEST_PARQUET in text
    assert "has image, class" in text


@pytest.mark.parametrize("layout", ["parquet", "batches"])
def test_cifar100_is_read_by_its_fine_labels(layout: str, tmp_path: Path) -> None:
    write_cifar100(layout, tmp_path, some_parts(classes=100))
    found = cifar.find_layout(CIFAR100, tmp_path)
    assert found is not None
    assert_same(cifar.read(found, SIZES), some_parts(classes=100))


@pytest.mark.parametrize("layout", ["parquet", "batches"])
def test_a_label_of_cifar100_is_0_to_99(layout: str, tmp_path: Path) -> None:
    parts = some_parts(classes=100)
    parts["test"][1][3] = 100
    write_cifar100(layout, tmp_path, parts)
    found = cifar.find_layout(CIFAR100, tmp_path)
    assert found is not None
    with pytest.raises(InputError, match="image 3: the label should be 0 to 99 but is 100"):
        cifar.read(found, SIZES)


def test_cifar100_is_what_torchvision_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "_check_integrity", lambda _: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    write_cifar100("batches", tmp_path, some_parts(classes=100))
    found = cifar.find_layout(CIFAR100, tmp_path)
    assert found is not None
    for part, (images, labels) in cifar.read(found, SIZES).items():
        theirs = torchvision.datasets.CIFAR100(tmp_path, train=part == "train")
        np.testing.assert_array_equal(images.transpose(0, 2, 3, 1), theirs.data)
        assert labels.tolist() == theirs.targets


def test_the_fine_labels_are_100_in_the_alphabets_order() -> None:
    assert len(set(CIFAR100.class_names)) == 100
    assert list(CIFAR100.class_names) == sorted(CIFAR100.class_names)
    assert CIFAR100.class_names[58] == "pickup_truck"  # as in the list published with the files


@pytest.mark.parametrize("layout", ["parquet", "batches"])
def test_the_files_of_one_data_set_are_not_taken_for_the_other(layout: str, tmp_path: Path) -> None:
    write_cifar100(layout, tmp_path / "100", some_parts(classes=100))
    WRITERS[layout](tmp_path / "10", some_parts())
    assert cifar.find_layout(CIFAR10, tmp_path / "100") is None
    assert cifar.find_layout(CIFAR100, tmp_path / "10") is None


def test_a_malicious_file_of_cifar100_is_refused_and_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "was-here"
    write_cifar100("batches", tmp_path, some_parts(classes=100))
    attack = {b"data": RunsACommand(f'echo > "{trace}"'), b"fine_labels": []}
    (tmp_path / "cifar-100-python" / "train").write_bytes(pickle.dumps(attack))
    found = cifar.find_layout(CIFAR100, tmp_path)
    assert found is not None
    with pytest.raises(InputError, match="system is not allowed"):
        cifar.read(found, SIZES)
    assert not trace.exists()


def test_images_that_are_no_structs_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path, some_parts())
    pq.write_table(pa.table({"img": [b"x"], "label": [1]}), tmp_path / TEST_PARQUET)
    assert "img (a struct with bytes)" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([0, 1, 2, 3, 4, 10], "image 5: the label should be 0 to 9 but is 10"),
        ([0, -1, 2, 3, 4, 5], "image 1: the label should be 0 to 9 but is -1"),
        ([2**40, 1, 2, 3, 4, 5], f"image 0: the label should be 0 to 9 but is {2**40}"),
        ([0.5, 1.0, 2.0, 3.0, 4.0, 5.0], "should hold whole numbers as labels"),
        (["a", "b", "c", "d", "e", "f"], "should hold whole numbers as labels"),
        ([[0], [1], [2], [3], [4], [5]], "should hold whole numbers as labels"),
        ([0, 1, None, 3, 4, 5], "should hold whole numbers as labels"),
    ],
)
@pytest.mark.parametrize("layout", WRITERS)
def test_wrong_labels_are_refused(
    layout: str, labels: list[Any], complaint: str, tmp_path: Path
) -> None:
    WRITERS[layout](tmp_path, some_parts())
    images, _ = some_parts()["test"]
    if layout == "parquet":
        file = tmp_path / TEST_PARQUET
        write_table(file, [encoded(image) for image in images], labels)
    else:
        file = tmp_path / "cifar-10-batches-py" / "test_batch"
        file.write_bytes(python2_pickle(batch(images, labels)))
    text = refusal(tmp_path)
    assert str(file) in text
    assert complaint in text


def test_labels_of_more_than_63_bits_are_refused(tmp_path: Path) -> None:
    images, _ = some_parts()["test"]
    write_batches(tmp_path / "batches", some_parts())
    file = tmp_path / "batches" / "cifar-10-batches-py" / "test_batch"
    file.write_bytes(python2_pickle(batch(images, [10**30] * 6)))
    assert f"the label should be 0 to 9 but is {10**30}" in refusal(tmp_path / "batches")

    write_parquet(tmp_path / "parquet", some_parts())
    write_table(
        tmp_path / "parquet" / TEST_PARQUET,
        [encoded(image) for image in images],
        pa.array([2**63] * 6, pa.uint64()),
    )
    assert f"the label should be 0 to 9 but is {2**63}" in refusal(tmp_path / "parquet")


@pytest.mark.parametrize("layout", WRITERS)
def test_a_wrong_number_of_images_is_refused(layout: str, tmp_path: Path) -> None:
    images, labels = some_parts()["test"]
    WRITERS[layout](tmp_path, some_parts() | {"test": (images[:-1], labels[:-1])})
    text = refusal(tmp_path)
    assert "The test part" in text
    assert str(tmp_path) in text
    assert "should have 6 images but has 5" in text


def bmp_that_claims(width: int, height: int) -> bytes:
    content = bytearray(encoded(np.zeros((3, 32, 32), np.uint8), "BMP"))
    content[18:22] = width.to_bytes(4, "little")
    content[22:26] = height.to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (encoded(np.zeros((3, 32, 33), np.uint8)), "should be 32×32 pixels but is 33×32"),
        (bmp_that_claims(60_000, 60_000), "cannot be decoded"),  # a decompression bomb
        (encoded(some_parts()["test"][0][0])[:200], "cannot be decoded"),
        (b"not an image", "cannot be decoded"),
        (b"", "cannot be decoded"),
        (None, "cannot be decoded"),
    ],
)
def test_a_bad_image_is_refused_by_its_number(
    image: bytes | None, complaint: str, tmp_path: Path
) -> None:
    images, labels = some_parts()["test"]
    write_parquet(tmp_path, some_parts())
    good = [encoded(array) for array in images]
    write_table(tmp_path / TEST_PARQUET, [*good[:4], image, good[5]], labels)
    text = refusal(tmp_path)
    assert f"{TEST_PARQUET}, image 4: {complaint}" in text


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((6, 3073), np.uint8),
        np.zeros((5, 3072), np.uint8),
        np.zeros((6, 3072), np.float32),
        [1, 2, 3],
        None,
    ],
)
def test_a_batch_of_another_shape_or_type_is_refused(data: Any, tmp_path: Path) -> None:
    write_batches(tmp_path, some_parts())
    file = tmp_path / "cifar-10-batches-py" / "test_batch"
    file.write_bytes(python2_pickle({"data": data, "labels": [0, 1, 2, 3, 4, 5]}))
    assert f"{file} should hold uint8 images of shape (6, 3072)" in refusal(tmp_path)


@pytest.mark.parametrize("content", [[], {}, {"data": 1}, None, 5])
def test_a_pickle_of_something_else_is_refused(content: Any, tmp_path: Path) -> None:
    write_batches(tmp_path, some_parts())
    file = tmp_path / "cifar-10-batches-py" / "test_batch"
    file.write_bytes(python2_pickle(content))
    assert f"{file} cannot be read as a batch" in refusal(tmp_path)


class RunsACommand:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_batch_is_refused_and_not_executed(protocol: int, tmp_path: Path) -> None:
    trace = tmp_path / "was-here"
    content = pickle.dumps({b"data": RunsACommand(f'echo > "{trace}"'), b"labels": []}, protocol)
    pickle.loads(content)  # noqa: S301 - shows that the attack works where nothing is refused
    assert trace.exists()
    trace.unlink()

    write_batches(tmp_path, some_parts())
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    assert "system is not allowed" in refusal(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("numpy", "load"),
        ("numpy", "ndarray.tofile"),
        ("numpy._core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("_codecs", "lookup"),
        ("core.data.cifar", "read"),
    ],
)
def test_nothing_but_what_arrays_need_can_be_named(module: str, name: str, tmp_path: Path) -> None:
    write_batches(tmp_path, some_parts())
    named = b"".join(b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name))
    content = b"\x80\x04" + named + b"\x93."  # protocol 4: push both words, look the global up
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    assert f"{module}.{name} is not allowed" in refusal(tmp_path)


@settings(derandomize=True)
@given(content=st.binary(max_size=60), position=st.integers(0, 200), damage=st.binary(min_size=1))
def test_damage_of_any_kind_is_refused_or_harmless(
    content: bytes, position: int, damage: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    genuine = python2_pickle(batch(np.zeros((1, 3072), np.uint8), [1]))
    damaged = genuine[:position] + damage + genuine[position + len(damage) :]
    file = tmp_path_factory.getbasetemp() / "damaged_batch"
    for attempt in (content, damaged):
        file.write_bytes(attempt)
        with suppress(InputError):
            images, labels = cifar._read_batch(CIFAR10, file)
            assert images.shape == (len(labels), 3, 32, 32)


def test_the_real_images_are_as_published(cifar10: DataSet) -> None:
    assert torch.bincount(cifar10.train_labels).tolist() == [5000] * 10
    assert torch.bincount(cifar10.test_labels).tolist() == [1000] * 10
    assert cifar10.test_images.shape == (10_000, 3, 32, 32)
    levels = torch.arange(256, dtype=torch.float64) / 255
    for channel in range(3):
        counts = torch.bincount(cifar10.train_images[:, channel].flatten(), minlength=256)
        mean = (counts * levels).sum() / counts.sum()
        variance = (counts * (levels - mean) ** 2).sum() / counts.sum()
        # The images that are in circulation as JPEG vary 0.002 less than the original ones.
        assert mean.item() == pytest.approx(CIFAR10.normalisation.mean[channel], abs=5e-4)
        assert variance.sqrt().item() == pytest.approx(CIFAR10.normalisation.std[channel], abs=3e-3)
