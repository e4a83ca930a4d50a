"""A folder of own images: read as torchvision reads it, whatever lies in it is read or refused."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from core.data import folder
from core.data.dataset import DataMissingError, DataSet
from core.data.loading import Choice, load
from core.errors import InputError

Content = Mapping[str, bytes]


@pytest.fixture(autouse=True)
def no_folder_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPLORER_DATA", raising=False)
    monkeypatch.delenv("EXPLORER_IMAGE_SIZE", raising=False)


def noise(seed: int, height: int = 40, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, file_format: str = "PNG", mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, file_format)
    return buffer.getvalue()


def one_colour(*rgb: int) -> bytes:
    return encoded(np.full((8, 8, 3), rgb, np.uint8))


def write(place: Path, files: Content) -> None:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


GOOD: dict[str, bytes] = {
    f"{part}/{label}/{number}.png": encoded(noise(100 * a + 10 * b + number))
    for a, part in enumerate(("train", "test"))
    for b, label in enumerate(("cat", "dog"))
    for number in range(4)
}


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    place = tmp_path / "pets"
    write(place, GOOD)
    return place


def read(place: Path, size: int = 32) -> DataSet:
    return load(folder.name_of(place), place.parent / "data", own=place, image_size=size)


def refusal(place: Path, size: int = 32) -> str:
    with pytest.raises(InputError) as caught:
        read(place, size)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert not isinstance(caught.value, DataMissingError)
    return text


def test_progress_is_reported_to_the_last_image(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "IMAGES_BETWEEN_REPORTS", 5)
    reports: list[tuple[int, int]] = []
    folder.decode(folder.list_images(pets), 8, lambda *counts: reports.append(counts))
    assert reports == [(5, 16), (10, 16), (15, 16), (16, 16)]


@pytest.mark.parametrize("size", [8, 32, 64])
@pytest.mark.parametrize("shape", [(40, 40), (32, 32), (90, 50), (33, 81), (1, 1), (5, 3)])
def test_images_are_what_torchvision_makes_of_them(
    tmp_path: Path, size: int, shape: tuple[int, int]
) -> None:
    height, width = shape
    ramp = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
    place = tmp_path / "ramps"
    write(place, GOOD)
    for number, turned in enumerate((ramp, ramp[::-1], ramp[:, ::-1])):
        coloured = np.stack([turned, 255 - turned, turned // 2], -1)
        write(place, {f"train/dog/x{number}.png": encoded(coloured)})
    pipeline = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size)])
    theirs = ImageFolder(str(place / "train"), pipeline)
    ours = read(place, size)
    assert ours.class_names == tuple(theirs.classes)
    assert ours.train_labels.tolist() == theirs.targets
    assert ours.train_images.shape == (len(theirs), 3, size, size)
    expected = np.stack([np.asarray(image) for image, _ in theirs]).transpose(0, 3, 1, 2)
    # They resize and then cut at a whole pixel; we cut first, so up to a pixel's step differs.
    difference = np.abs(ours.train_images.numpy().astype(int) - expected)
    is_square = np.array(["/x" not in name for name, _ in theirs.samples]) | (height == width)
    assert difference[is_square].max() <= 1
    assert not (~is_square).any() or difference[~is_square].mean() < 128 / min(size, *shape)


def test_a_large_photo_is_decoded_as_a_whole_one_would_be(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:1200, 0:1600]
    photo = np.stack([rows / 1200, columns / 1600, (rows + columns) / 2800], -1)
    file = tmp_path / "photo.jpg"
    file.write_bytes(encoded((255 * photo).astype(np.uint8), "JPEG"))
    pipeline = transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32)])
    expected = np.asarray(pipeline(Image.open(file)))
    assert np.abs(folder.square(file, 32).astype(int) - expected).max() <= 4


def test_the_statistics_are_those_of_the_training_images(pets: Path) -> None:
    dataset = read(pets)
    pixels = dataset.train_images.double() / 255
    np.testing.assert_allclose(dataset.normalisation.mean, pixels.mean((0, 2, 3)), atol=6e-5)
    deviation = pixels.std((0, 2, 3), correction=0)
    np.testing.assert_allclose(dataset.normalisation.std, deviation, atol=6e-5)


def test_images_of_one_colour_have_a_deviation_to_divide_by(tmp_path: Path) -> None:
    place = tmp_path / "plain"
    write(place, dict.fromkeys(GOOD, one_colour(9, 9, 9)))
    normalised = read(place).normalisation.apply(read(place).test_images)
    assert normalised.isfinite().all()


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


RED, GREEN, BLUE = (200, 10, 20), (10, 200, 20), (10, 20, 200)
RED_IMAGE = Image.new("RGB", (20, 20), RED)
LATER = [Image.new("RGB", (20, 20), colour) for colour in (GREEN, BLUE)]
BLACK_ON_NOTHING = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
EXIF_RIGHT = Image.Exif()
EXIF_RIGHT[0x0112] = 6  # to be turned by a quarter, clockwise
UPPER_HALF = np.zeros((20, 20, 3), np.uint8)
UPPER_HALF[:10] = 255


@pytest.mark.parametrize(
    ("name", "content", "colour"),
    [
        ("a.png", saved(Image.new("RGB", (20, 20), RED), "PNG"), RED),
        ("a.JPG", saved(Image.new("RGB", (20, 20), RED), "JPEG", quality=95), RED),
        ("a.jpeg", saved(Image.new("RGB", (20, 20), RED), "JPEG", quality=95), RED),
        ("a.webp", saved(Image.new("RGB", (20, 20), RED), "WEBP", lossless=True), RED),
        ("a.png", saved(Image.new("RGB", (1, 1), RED), "PNG"), RED),
        ("a.png", saved(Image.new("RGB", (3000, 1), RED), "PNG"), RED),
        ("a.png", saved(Image.new("RGB", (20, 20), RED).quantize(4), "PNG"), RED),
        ("a.png", saved(Image.new("L", (20, 20), 77), "PNG"), (77, 77, 77)),
        ("a.png", saved(Image.new("1", (20, 20), 1), "PNG"), (255, 255, 255)),
        ("a.png", saved(Image.new("I;16", (20, 20), 77 * 257), "PNG"), (77, 77, 77)),
        ("a.jpg", saved(Image.new("RGB", (20, 20), RED).convert("CMYK"), "JPEG", quality=99), RED),
        ("a.png", saved(BLACK_ON_NOTHING, "PNG"), (255, 255, 255)),
        ("a.png", saved(BLACK_ON_NOTHING.convert("LA"), "PNG"), (255, 255, 255)),
        ("a.png", saved(Image.new("L", (20, 20), 0), "PNG", transparency=0), (255, 255, 255)),
        ("a.webp", saved(BLACK_ON_NOTHING, "WEBP", lossless=True), (255, 255, 255)),
        (
            "a.webp",
            saved(
                RED_IMAGE,
                "WEBP",
                save_all=True,
                append_images=LATER,
                lossless=True,
            ),
            RED,
        ),
        (
            "a.png",
            saved(RED_IMAGE, "PNG", save_all=True, append_images=LATER),
            RED,
        ),
    ],
)
def test_every_kind_of_image_is_read_in_its_colours(
    pets: Path, name: str, content: bytes, colour: tuple[int, int, int]
) -> None:
    write(pets, {f"test/dog/{name}": content})
    dataset = read(pets)
    assert dataset.notes == ()
    image = dataset.test_images[-1]
    assert len(dataset.test_images) == 9
    assert (image.int() - torch.tensor(colour)[:, None, None]).abs().max() <= 4


def test_a_camera_that_was_held_upright_is_believed(pets: Path) -> None:
    turned = saved(Image.fromarray(UPPER_HALF), "JPEG", exif=EXIF_RIGHT, quality=95)
    write(pets, {"test/dog/a.jpg": turned})
    image = read(pets).test_images[-1].float()
    assert image[:, :, 20:].mean() > 200  # what was above is right
    assert image[:, :, :12].mean() < 50


BROKEN = {
    "empty": b"",
    "text": b"no image",
    "truncated": GOOD["train/cat/0.png"][:200],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=list(BROKEN))
def test_few_broken_images_are_left_out_and_named(pets: Path, content: bytes) -> None:
    whole = read(pets)
    write(pets, {f"train/cat/more{number}.png": one_colour(*[number] * 3) for number in range(20)})
    write(pets, {"train/dog/2.png": content, "test/cat/broken.jpg": content})
    for _ in range(2):  # from the files, then from the cache
        dataset = read(pets)
        assert dataset.train_labels.tolist() == [0] * 24 + [1] * 3
        assert torch.equal(dataset.train_images[-3:], whole.train_images[[4, 5, 7]])
        assert torch.equal(dataset.test_images, whole.test_images)
        (note,) = dataset.notes
        assert note.startswith("2 of 37 images cannot be decoded and were left out: ")
        assert "train/dog/2.png" in note
        assert "test/cat/broken.jpg" in note


def test_many_broken_images_are_refused(pets: Path) -> None:
    write(pets, {"train/dog/2.png": b"x", "train/dog/3.png": b"x"})
    text = refusal(pets)
    assert "2 of the 16 images" in text
    assert "train/dog/2.png" in text


def test_a_class_whose_images_are_all_broken_is_refused(pets: Path) -> None:
    write(pets, {f"train/cat/more{number}.png": one_colour(1, 2, 3) for number in range(20)})
    write(pets, {"train/bird/0.png": b"x"})
    assert "No training image of the class 'bird'" in refusal(pets)


def test_a_decompression_bomb_is_refused(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    write(pets, {"test/dog/bomb.png": encoded(np.zeros((70, 70, 3), np.uint8))})
    text = refusal(pets)
    assert str(pets / "test/dog/bomb.png") in text
    assert "make it smaller, or remove it" in text


def without(files: Content, beginning: str) -> Content:
    return {name: content for name, content in files.items() if not name.startswith(beginning)}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["There is no folder", "pets"]),
        (without(GOOD, "test"), ["folders train and test", "but has 'train'"]),
        (without(GOOD, "train"), ["folders train and test", "but has 'test'"]),
        ({"cat/0.png": b"", "dog/0.png": b""}, ["but has 'cat', 'dog'"]),
        ({"readme.txt": b""}, ["but has no folders"]),
        (without(GOOD, "train/dog"), ["train has one class only", "at least two"]),
        ({**without(GOOD, "train"), "train/0.png": b""}, ["train has no folders of classes"]),
        (
            {**GOOD, "train/bird/0.gif": b""},
            ["train has no image of the class 'bird' (jpeg, jpg, png, webp)"],
        ),
        (
            {**GOOD, "test/bird/0.png": one_colour(1, 2, 3)},
            ["test has images of the class 'bird'", "train has none"],
        ),
        (
            {**without(GOOD, "test"), "test/cat/0.txt": b"", "test/dog/.0.png": b""},
            ["test has no images"],
        ),
        (
            GOOD | {f"train/{n}/0.png": one_colour(1, 2, 3) for n in range(999)},
            ["train has 1,001 classes", "at most 1,000"],
        ),
    ],
)
def test_another_layout_is_refused_in_a_sentence(
    files: Content, words: list[str], tmp_path: Path
) -> None:
    write(tmp_path / "pets", files)
    text = refusal(tmp_path / "pets")
    assert all(word in text for word in words), text


def test_a_class_without_test_images_is_noted(pets: Path) -> None:
    write(pets, {"train/bird/0.png": one_colour(1, 2, 3)})
    (pets / "test" / "bird").mkdir()
    dataset = read(pets)
    assert dataset.class_names == ("bird", "cat", "dog")
    assert dataset.notes == ("1 of 3 classes has no test images: 'bird'.",)
    assert set(dataset.test_labels.tolist()) == {1, 2}


def test_hidden_and_other_files_are_ignored_and_links_followed(pets: Path) -> None:
    expected = read(pets).fingerprint
    write(
        pets,
        {
            **{"train/.DS_Store": b"", "train/cat/._0.png": b"x", "train/cat/Thumbs.db": b""},
            **{"train/.cache/0.png": b"x", "train/cat/.checkpoints/0.png": b"x", "notes.txt": b""},
        },
    )
    (pets / "train" / "cat" / "above").symlink_to(pets / "train" / "cat")  # endless
    assert read(pets).fingerprint == expected
    elsewhere = pets.with_name("elsewhere")
    (pets / "train" / "cat").rename(elsewhere)
    (elsewhere / "above").unlink()
    (pets / "train" / "cat").symlink_to(elsewhere)
    link = pets.with_name("link")
    link.symlink_to(pets)
    assert read(link).fingerprint == expected
    assert read(link).name == "folder:link"


def test_subfolders_belong_to_their_class_as_torchvision_has_it(pets: Path) -> None:
    write(pets, {"train/cat/grey/0.png": one_colour(1, 1, 1)})
    theirs = ImageFolder(str(pets / "train"))
    assert read(pets).train_labels.tolist() == theirs.targets == [0] * 5 + [1] * 4


NAMES = ["日本語", "naïve", "**bold** :smile: $x$", "[link](a.b)", "<b>", "a b", "0"]


def test_class_names_may_be_in_any_script(pets: Path) -> None:
    write(pets, {f"train/{name}/0.png": one_colour(1, 2, 3) for name in NAMES})
    assert read(pets).class_names == tuple(sorted([*NAMES, "cat", "dog"]))


def test_both_forms_of_an_accent_are_one_class(pets: Path) -> None:
    write(
        pets, {"train/e\u0301/0.png": one_colour(1, 2, 3), "test/\u00e9/0.png": one_colour(1, 2, 3)}
    )
    assert read(pets).class_names == ("cat", "dog", "\u00e9")


def test_a_name_that_is_no_text_is_shown_with_marks(pets: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(str(pets)) + b"/train/a\xff\n"))
    odd.mkdir()
    (odd / "0.png").write_bytes(one_colour(1, 2, 3))
    assert read(pets).class_names[0] == "a\ufffd\ufffd"


def test_300_classes_are_read(tmp_path: Path) -> None:
    place = tmp_path / "many"
    write(place, {f"train/{n:03}/0.png": one_colour(n % 256, n // 256, 7) for n in range(300)})
    write(place, {f"test/{n:03}/0.png": one_colour(n % 256, n // 256, 7) for n in range(300)})
    dataset = read(place, 8)
    assert dataset.classes == 300
    assert dataset.train_labels.tolist() == dataset.test_labels.tolist() == list(range(300))
    value = dataset.test_images[:, :, 0, 0].int()
    assert (value[:, 0] + 256 * value[:, 1]).tolist() == list(range(300))


def test_too_many_images_for_the_memory_are_refused_before_decoding(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "square", lambda *_: pytest.fail("it was decoded"))
    monkeypatch.setattr(folder, "MOST_BYTES", 16 * 3 * 20**2)
    text = refusal(pets, 32)
    assert "The 16 images" in text
    assert "at most 20 pixels" in text


@pytest.mark.parametrize("size", [0, 7, 225, -32])
def test_a_size_out_of_range_is_refused(pets: Path, size: int) -> None:
    assert f"8 to 224 pixels wide and high, not {size}" in refusal(pets, size)


class TestCache:
    @pytest.fixture(autouse=True)
    def count_decoded(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        decoded: list[Path] = []
        square = folder.square

        def counted(file: Path, size: int) -> np.ndarray:
            decoded.append(file)
            return square(file, size)

        monkeypatch.setattr(folder, "square", counted)
        self.decoded = decoded
        return decoded

    def test_the_second_start_decodes_nothing_and_gives_the_same(self, pets: Path) -> None:
        first = read(pets)
        assert len(self.decoded) == 16
        second = read(pets)
        assert len(self.decoded) == 16
        assert second.fingerprint == first.fingerprint
        assert second.normalisation == first.normalisation

    def test_each_size_has_its_cache(self, pets: Path) -> None:
        assert read(pets, 32).image_size == 32
        assert read(pets, 16).image_size == 16
        assert read(pets, 32).image_size == 32
        assert len(self.decoded) == 32

    def test_folders_of_one_name_do_not_share_it(self, pets: Path) -> None:
        other = pets.parent / "other" / "pets"
        write(other, dict(zip(GOOD, reversed(GOOD.values()), strict=True)))
        assert (
            load("folder:pets", pets.parent / "data", other).fingerprint != read(pets).fingerprint
        )
        assert len(self.decoded) == 32

    @pytest.mark.parametrize("change", ["new", "gone", "moved", "other", "touched"])
    def test_a_change_of_the_files_is_noticed(self, pets: Path, change: str) -> None:
        read(pets)
        file = pets / "train/cat/0.png"
        if change == "new":
            write(pets, {"train/cat/new.png": one_colour(1, 2, 3)})
        elif change == "gone":
            file.unlink()
        elif change == "moved":
            file.rename(pets / "train/dog/moved.png")
        elif change == "other":
            file.write_bytes(one_colour(1, 2, 3))
        else:
            os.utime(file, (1, 1))
        read(pets)
        assert len(self.decoded) > 30 - (change == "gone")

    def test_a_folder_that_cannot_be_written_is_noted(self, pets: Path) -> None:
        (pets.parent / "data").write_text("a file")
        assert "could not be cached" in read(pets).notes[0]


def test_the_data_set_is_named_without_its_place(pets: Path) -> None:
    assert read(pets).name == "folder:pets"
    assert Choice.of(f"folder:{pets}/") == Choice("folder:pets", pets)
    assert Choice.of("digits") == Choice("digits")


def test_the_folder_may_be_named_by_the_environment(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_DATA", str(pets))
    monkeypatch.setenv("EXPLORER_IMAGE_SIZE", "16")
    assert load("folder:pets", pets.parent / "data").image_size == 16
    assert load("folder:pets", pets.parent / "data", image_size=24).image_size == 24
    with pytest.raises(DataMissingError, match="folder:PATH, or start the app with EXPLORER_DATA="):
        load("folder:cars", pets.parent / "data")
    monkeypatch.setenv("EXPLORER_IMAGE_SIZE", "many")
    with pytest.raises(InputError, match=r"EXPLORER_IMAGE_SIZE is 'many', .+ unset it"):
        load("folder:pets", pets.parent / "data")


def test_a_folder_that_was_not_named_is_missing_data(pets: Path) -> None:
    with pytest.raises(DataMissingError, match="name it with --dataset folder:PATH"):
        load("folder:pets", pets.parent / "data")


@pytest.mark.parametrize("text", ["folder:", "folder:/", "mnist"])
def test_what_names_no_data_set_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"\.$"):
        Choice.of(text)
