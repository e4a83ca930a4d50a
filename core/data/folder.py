"""Own images: a folder of them in the layout of torchvision's ImageFolder.

FOLDER/train/CLASS/*.png, *.jpg, *.jpeg or *.webp
FOLDER/test/CLASS/...
"""

import hashlib
import itertools
import json
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from core.data.normalisation import Normalisation
from core.errors import InputError
from core.specs.vocabulary import FOLDER

PARTS = ("train", "test")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
MOST_CLASSES = 1000
USUAL_SIZE, SMALLEST_SIZE, LARGEST_SIZE = 32, 8, 224
"""Height and width of the decoded images, in pixels."""
MOST_BYTES = 4 * 2**30
"""Largest size of all decoded images in memory."""
LARGEST_BROKEN_PART = 0.1
"""Fraction of the images that may be broken and are then left out; more are refused."""
MOST_NAMES = 3
"""Files or classes that a message lists."""
IMAGES_BETWEEN_REPORTS = 100
LEAST_STD = 1 / 255
"""Images of one colour have no deviation to divide by."""
BACKGROUND = (255, 255, 255)
"""The colour behind transparent images."""

Report = Callable[[int, int], None]


def ignore(_done: int, _total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Listing:
    """The image files of a folder. Labels are positions in `class_names`."""

    folder: Path
    class_names: tuple[str, ...]
    files: Mapping[str, Sequence[Path]]  # by part, sorted by class and name
    labels: Mapping[str, Sequence[int]]  # by part, of each file

    @property
    def images(self) -> int:
        return sum(map(len, self.files.values()))

    def state(self, size: int) -> str:
        """Return a digest that changes with the files, by name, size and time, or `size`."""
        digest = hashlib.sha256(json.dumps([2, size, self.class_names]).encode())
        for part, files in self.files.items():
            for path, label in zip(files, self.labels[part], strict=True):
                stat = path.stat()
                name = os.fsencode(path.relative_to(self.folder))
                facts = [part, label, name.hex(), stat.st_size, stat.st_mtime_ns]
                digest.update(json.dumps(facts).encode())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Decoded:
    """The decoded images of both parts, and which files were left out because they are broken."""

    tensors: Mapping[str, Tensor]  # train_images, train_labels, test_images, test_labels
    broken: tuple[str, ...]  # file names within the folder


def name_of(folder: Path) -> str:
    """Return the name of the data set in a folder, without the folder's place.

    Raises InputError for the root of a disk, which has no name.
    """
    base = readable(Path(os.path.abspath(folder)).name)  # not resolved: a link's name is its own
    if not base:
        raise InputError(f"{folder} has no name of its own: put the images into a folder.")
    return f"{FOLDER}{base}"


def readable(file_name: str) -> str:
    """Return a file's name as text: composed Unicode, with marks for what is not printable."""
    text = os.fsencode(file_name).decode("utf-8", "replace")
    composed = unicodedata.normalize("NFC", text)  # file systems disagree on the form
    return "".join(each if each.isprintable() else "\ufffd" for each in composed)


def list_images(folder: Path) -> Listing:
    """Find the classes and images of a folder.

    Hidden files, and files of other types, are ignored. Raises InputError if the folder cannot be
    read, or has another layout, too few or too many classes, or classes without training images.
    """
    try:
        found = {part: _classes(folder, part) for part in PARTS}
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read ({error.strerror}). Make the folder readable."
        ) from error
    names = tuple(sorted(found["train"]))
    if len(names) < 2:
        raise InputError(
            f"{folder / 'train'} has {'one class only' if names else 'no folders of classes'}: put "
            "each class of images into a folder of its own, at least two."
        )
    if len(names) > MOST_CLASSES:
        raise InputError(
            f"{folder / 'train'} has {len(names):,} classes: at most {MOST_CLASSES:,} are possible."
        )
    for name in names:
        if not found["train"][name]:
            raise InputError(
                f"{folder / 'train'} has no image of the class {name!r} ({_suffixes()}): put some "
                "into its folder, or remove the folder."
            )
    for name, tested in found["test"].items():
        if tested and name not in found["train"]:
            raise InputError(
                f"{folder / 'test'} has images of the class {name!r}, but {folder / 'train'} has "
                "none: put some there, or remove the class."
            )
    if not any(found["test"].values()):
        raise InputError(
            f"{folder / 'test'} has no images ({_suffixes()}): put some of each class there."
        )
    numbers = {name: number for number, name in enumerate(names)}
    files: dict[str, list[Path]] = {part: [] for part in PARTS}
    labels: dict[str, list[int]] = {part: [] for part in PARTS}
    for part in PARTS:
        for name in names:
            of_class = found[part].get(name, [])
            files[part] += of_class
            labels[part] += [numbers[name]] * len(of_class)
    return Listing(folder, names, files, labels)


def _suffixes() -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in sorted(SUFFIXES))


def _classes(folder: Path, part: str) -> dict[str, list[Path]]:
    """Return the image files of each class in one part, by the class's readable name."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}: check the name.")
    if not (folder / part).is_dir():
        there = sorted(readable(each.name) for each in _visible(folder) if each.is_dir())
        raise InputError(
            f"{folder} should have the folders train and test, each with a folder for every class, "
            f"but has {_listed(there) if there else 'no folders'}: sort the images so."
        )
    classes: dict[str, list[Path]] = {}
    for each in _visible(folder / part):
        if each.is_dir():
            classes.setdefault(readable(each.name), []).extend(
                _images_in(Path(each.path), frozenset())
            )
    return {name: sorted(files) for name, files in classes.items()}


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [each for each in entries if not each.name.startswith(".")]


def _images_in(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """Yield the images in a folder and its subfolders; `above` identifies the folders above."""
    stat = folder.stat()
    identity = (stat.st_dev, stat.st_ino)
    if identity in above:  # a link to a folder above it
        return
    for each in _visible(folder):
        if each.is_dir():
            yield from _images_in(Path(each.path), above | {identity})
        elif Path(each.name).suffix.lower() in SUFFIXES and each.is_file():
            yield Path(each.path)


def check_size(size: int) -> None:
    """Raise InputError unless images can have this height and width."""
    if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise InputError(
            f"Images can be {SMALLEST_SIZE} to {LARGEST_SIZE} pixels wide and high, not {size}."
        )


def decode(listing: Listing, size: int, report: Report = ignore) -> Decoded:
    """Decode all images to RGB, cropped to a centred square and resized to `size` pixels.

    `report` is called with the number of images decoded and of all, after every hundred or so.
    Up to a tenth of the images may be broken; they are left out. Raises InputError if there are
    more, if a class has no other training images, if an image is a decompression bomb, and, before
    decoding, if the images would take more than MOST_BYTES.
    """
    check_size(size)
    _check_memory(listing, size)
    counter = itertools.count(1)

    def count() -> None:
        done = next(counter)
        if done % IMAGES_BETWEEN_REPORTS == 0 or done == listing.images:
            report(done, listing.images)

    decoded = {part: _decode_files(files, size, count) for part, files in listing.files.items()}
    broken = [
        str(path.relative_to(listing.folder))
        for part, (_, intact) in decoded.items()
        for path, is_intact in zip(listing.files[part], intact, strict=True)
        if not is_intact
    ]
    if len(broken) > LARGEST_BROKEN_PART * listing.images:
        raise InputError(
            f"{len(broken):,} of the {listing.images:,} images in {listing.folder} cannot be "
            f"decoded, such as {_quoted(broken[0])}: replace or remove them."
        )
    tensors = {}
    for part, (images, intact) in decoded.items():
        labels = np.array(listing.labels[part], dtype=np.int64)
        if not intact.all():
            images, labels = images[intact], labels[intact]
        tensors[f"{part}_images"] = torch.from_numpy(images)
        tensors[f"{part}_labels"] = torch.from_numpy(labels)
    left = torch.bincount(tensors["train_labels"], minlength=len(listing.class_names))
    if not left.all():
        name = listing.class_names[int(left.argmin())]
        raise InputError(
            f"No training image of the class {name!r} in {listing.folder} can be decoded: replace "
            "them, or remove the class."
        )
    if not len(tensors["test_labels"]):
        raise InputError(f"No test image in {listing.folder} can be decoded: replace them.")
    return Decoded(tensors, tuple(map(readable, broken)))


def _check_memory(listing: Listing, size: int) -> None:
    needed = listing.images * 3 * size**2
    if needed <= MOST_BYTES:
        return
    fitting = int((MOST_BYTES / (3 * listing.images)) ** 0.5)
    advice = "leave some out"
    if fitting >= SMALLEST_SIZE:
        advice = f"choose a size of at most {fitting} pixels, or {advice}"
    raise InputError(
        f"The {listing.images:,} images in {listing.folder} would take "
        f"{needed / 2**30:.1f} GiB of memory at {size}×{size} pixels, more than "
        f"{MOST_BYTES / 2**30:g} GiB: {advice}."
    )


def _decode_files(
    files: Sequence[Path], size: int, count: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images (N, 3, size, size), and whether each could be decoded, bool (N,)."""
    images = np.zeros((len(files), 3, size, size), dtype=np.uint8)

    def decode_into(row: int) -> bool:
        try:
            images[row] = square(files[row], size).transpose(2, 0, 1)
        except Image.DecompressionBombError as error:
            raise InputError(
                f"{files[row]} has more pixels than an image should ({error}): make it smaller, "
                "or remove it."
            ) from error
        except Exception:  # noqa: BLE001 a damaged image can raise anything
            return False
        return True

    # Pillow decodes outside Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        intact = []
        for is_intact in pool.map(decode_into, range(len(files))):
            intact.append(is_intact)
            count()
    return images, np.array(intact, dtype=bool)


def square(file: Path, size: int) -> np.ndarray:
    """Decode an image; return its centred square at the given size, uint8 (size, size, 3).

    Of an animation this is the first frame. The orientation that a camera noted is applied;
    transparent pixels become white.
    """
    with Image.open(file) as opened:
        # A JPEG file can be decoded at 1/2, 1/4 or 1/8 of its size, much faster.
        opened.draft("RGB", (4 * size, 4 * size))
        upright = ImageOps.exif_transpose(opened)
        fitted = ImageOps.fit(_as_rgb(upright), (size, size), Image.Resampling.BILINEAR)
        return np.asarray(fitted)


def _as_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB with 8 bits."""
    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
        levels = np.asarray(image).clip(0, 65_535) / 257
        return Image.fromarray(levels.round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def normalisation_of(images: Tensor) -> Normalisation:
    """Return the mean and standard deviation of uint8 images (N, 3, H, W), to four decimals."""
    levels = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for colour in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.int64)
        for batch in torch.split(images, 1000):
            counts += torch.bincount(batch[:, colour].flatten(), minlength=256)
        shares = counts / counts.sum()
        average = (shares * levels).sum()
        deviation = (shares * (levels - average).square()).sum().sqrt()
        mean.append(round(float(average), 4))
        std.append(round(max(float(deviation), LEAST_STD), 4))
    return Normalisation(tuple(mean), tuple(std))


def notes_on(listing: Listing, tensors: Mapping[str, Tensor], broken: tuple[str, ...]) -> list[str]:
    """Return notes for the user on images that were left out and classes without test images."""
    notes = []
    if broken:
        notes.append(
            f"{len(broken):,} of {listing.images:,} images cannot be decoded and "
            f"{'was' if len(broken) == 1 else 'were'} left out: {_listed(list(broken))}."
        )
    tested = torch.bincount(tensors["test_labels"], minlength=len(listing.class_names))
    untested = [name for name, n in zip(listing.class_names, tested, strict=True) if not n]
    if untested:
        notes.append(
            f"{len(untested):,} of {len(listing.class_names):,} classes "
            f"{'has' if len(untested) == 1 else 'have'} no test images: {_listed(untested)}."
        )
    return notes


def _listed(names: list[str]) -> str:
    """List the first few names."""
    shown = ", ".join(map(_quoted, names[:MOST_NAMES]))
    return shown if len(names) <= MOST_NAMES else f"{shown} and {len(names) - MOST_NAMES:,} more"


def _quoted(name: str) -> str:
    return repr(readable(name))
