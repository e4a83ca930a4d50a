"""Export a network as files that work without this project."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.baselines.naming import class_names
from core.baselines.shelf import default_baseline
from core.commands.common import (
    Commands,
    costs,
    dataset_option,
    evaluation_options,
    load_if_present,
    load_images_for,
    measure,
    named_network,
)
from core.commands.making import make
from core.commands.measuring import open_chosen_store, store_option
from core.data.dataset import DataMissingError, DataSet
from core.errors import InputError
from core.export.bundle import Bundle, check_formats, export, write
from core.export.card import Accuracy, Origin, run_card
from core.export.names import check_module_name, check_name, suggested_name
from core.export.subject import Subject
from core.export.vocabulary import FORMATS
from core.formatting import listed, percent_within
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint, refuse_to_overwrite
from core.networks.network import Network
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.written import UNPRUNED_TEXT, text_of
from core.studies.taking import (
    CARDS,
    accuracy_in_metadata,
    accuracy_of,
    description,
    files_of,
    images_in_words,
    images_to_check,
    notes,
    pruned_metadata,
    versions,
    with_cards,
)
from core.sweeps.known import BASELINE, KnownResults
from core.sweeps.measurer import new_pruner

ZIP = ".zip"
USUAL_FORMAT = "onnx"
EVERYTHING = 2**31
"""More test images than there are: all of them."""
LONGEST_PART = 255
"""Bytes of a folder's name that file systems take."""


@dataclass(frozen=True)
class Destination:
    """Where files are written, and in which formats."""

    folder: Path
    name: str  # of the files, without extension
    formats: tuple[str, ...]
    is_zip: bool

    @property
    def paths(self) -> list[Path]:
        """All files that will be written."""
        if self.is_zip:
            return [self.folder / f"{self.name}{ZIP}"]
        extensions = [each for name in self.formats for each in FORMATS[name].extensions]
        return [self.folder / f"{self.name}{each}" for each in (*extensions, *CARDS)]


def add_export(commands: Commands) -> None:
    exporting = commands.add_parser(
        "export",
        parents=[evaluation_options(), dataset_option(default=None), store_option()],
        help="export a network: checkpoint, PyTorch, ONNX, OpenVINO, each with a card",
    )
    exporting.set_defaults(run=run_export)
    exporting.add_argument(
        "network",
        metavar="SETTING",
        help=f"a checkpoint, {UNPRUNED_TEXT}, or a method, a ratio and what is not usual in "
        "quotes, such as 'channel 0.5 recovery=reconstruct'",
    )
    exporting.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="a folder, or the file of the one format; FILE.zip puts all into one archive",
    )
    exporting.add_argument(
        "--name",
        metavar="NAME",
        help="name of the files in the folder; default: made from the baseline and the setting",
    )
    exporting.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=[],
        metavar="FORMAT",
        help=f"one or more of {', '.join(FORMATS)}; default: that of the file, or {USUAL_FORMAT}",
    )
    exporting.add_argument(
        "--normalise",
        action="store_true",
        help="put the normalisation into the network, whose inputs are then pixels from 0 to 1",
    )
    exporting.add_argument("--zip", action="store_true", help="write one zip archive")
    exporting.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="what is pruned; default: the app's default baseline",
    )
    exporting.add_argument(
        "--overwrite", action="store_true", help="replace files that exist already"
    )


def run_export(options: argparse.Namespace) -> dict[str, Any]:
    chosen = options.dataset and options.dataset.name
    path, asked = named_network(options.network, options.baseline, chosen or "cifar10")
    source = checkpoint.load(path, chosen)
    setting = "" if asked == BASELINE else text_of(asked).replace("recovery=", "")
    to = _destination(options, suggested_name(path.stem, setting))
    for file in to.paths:
        refuse_to_overwrite(file, options.overwrite)
    needs_images = asked.recovery.needs_images
    dataset = (load_images_for if needs_images else load_if_present)(source, options.dataset)
    _, network = make(asked, source, dataset, options)
    is_file = asked == BASELINE
    point = _recorded(source) if is_file else asked
    accuracy, before = _accuracies(network, asked, source, dataset, options)
    baseline = source if not is_file else _baseline(source, options)
    subject = Subject(
        network,
        description(source, point),
        source.dataset,
        class_names(source),
        source.metadata
        if is_file
        else pruned_metadata(asked, source, accuracy_in_metadata(accuracy)),
        *images_to_check(dataset),
        normalise=options.normalise,
    )
    bundle = _exported(subject, to, options.json)
    card = run_card(
        Origin(
            str(network.architecture),
            source.dataset,
            _baseline_name(source),
            _baseline_fingerprint(source),
            point,
        ),
        accuracy,
        before,
        costs(network),
        None if baseline is None else costs(baseline.network),
        files_of(bundle),
        bundle.checks,
        versions(to.formats),
        datetime.now(UTC).isoformat(timespec="seconds"),
        options.command_line,
        notes=notes(subject, to.formats, to.name),
    )
    written = _write(bundle, card, to, options.overwrite)
    for name, check in bundle.checks.items():
        print(f"{FORMATS[name].label}: {check}")
    for file, size in written.items():
        print(f"{file}, {size:,} bytes")
    return {"files": [str(file) for file in written], "card": card}


def _destination(options: argparse.Namespace, suggested: str) -> Destination:
    """Return where to write. Raises InputError for what cannot be, before anything is computed."""
    out: Path = options.out
    _check_parts(out)
    extensions = {format.extensions[0]: name for name, format in FORMATS.items()}
    formats = tuple(dict.fromkeys(options.format))
    if out.is_dir() or not out.suffix:
        folder, name, is_zip = out, options.name or suggested, options.zip
    elif out.suffix == ZIP:
        folder, name, is_zip = out.parent, out.stem, True
    elif out.suffix in extensions:
        of_suffix = (extensions[out.suffix],)
        if options.zip or (formats and formats != of_suffix):
            raise InputError(
                f"{out} can hold {FORMATS[of_suffix[0]].label} alone: choose a folder, or a name "
                f"that ends in {ZIP}."
            )
        folder, name, formats, is_zip = out.parent, out.stem, of_suffix, False
    else:
        raise InputError(
            f"{out} should be a folder that exists, a new one without a dot in its name, or a file "
            f"that ends in {', '.join(extensions)} or {ZIP}."
        )
    if options.name is not None and folder is not out:
        raise InputError("--name is for files in a folder: --out names a file already.")
    formats = formats or (USUAL_FORMAT,)
    check_formats(formats)
    if options.normalise and not any(FORMATS[each].can_normalise for each in formats):
        can = [name for name, format in FORMATS.items() if format.can_normalise]
        raise InputError(f"--normalise is of the formats {listed(can)}: add one of them.")
    if "torch" in formats:
        check_module_name(name)
    _check_writable(folder)
    return Destination(folder, check_name(name), formats, is_zip)


def _check_parts(out: Path) -> None:
    for part in out.parts:
        if len(part.encode(errors="replace")) > LONGEST_PART or not part.isprintable():
            raise InputError(
                f"{part[:40]!r}… cannot be part of a path: it is too long, or has a character that "
                "cannot be seen. Choose another name."
            )


def _check_writable(folder: Path) -> None:
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder} cannot be written: choose another place.")


def _exported(subject: Subject, to: Destination, quiet: bool) -> Bundle:
    steps = export(subject, to.formats, to.name)
    with tqdm(total=len(to.formats), disable=quiet, dynamic_ncols=True, delay=0.5) as bar:
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                bundle: Bundle = end.value
                return bundle
            bar.set_description(FORMATS[progress.format].label)
            bar.update(progress.done - bar.n)


def _write(
    bundle: Bundle, card: Mapping[str, Any], to: Destination, overwrite: bool
) -> dict[Path, int]:
    """Write files and card, all or none; return the size of each in bytes."""
    files = with_cards(bundle, card, to.name)
    contents = {f"{to.name}{ZIP}": files.zipped()} if to.is_zip else files.files
    by_path = {to.folder / name: content for name, content in contents.items()}
    write(by_path, overwrite)
    return {path: len(content) for path, content in by_path.items()}


def _accuracies(
    network: Network,
    point: Point,
    source: Checkpoint,
    dataset: DataSet | None,
    options: argparse.Namespace,
) -> tuple[Accuracy | None, Accuracy | None]:
    """Return the accuracy of a network and its baseline's, as stored, else measured here.

    The baseline's is None where it is not stored, or is the same.
    """
    known = _known(point, source, dataset, options)
    if known is not None:
        result, reference = known
        accuracy = accuracy_of(result, source.dataset)
        within = percent_within(accuracy.correct / accuracy.seen, *accuracy.interval)
        print(f"accuracy {within}, as measured before on {accuracy.images}")
        return accuracy, None if reference is None else accuracy_of(reference, source.dataset)
    if dataset is None:
        print("The accuracy was not measured, because the images are not on this machine.")
        return None, None
    measured = measure(network, dataset, options)
    return (
        Accuracy(
            measured["correct"],
            measured["seen"],
            measured["interval"],
            images_in_words(measured["seen"], options.seed, source.dataset),
            measured["precision"],
        ),
        None,
    )


def _known(
    point: Point, source: Checkpoint, dataset: DataSet | None, options: argparse.Namespace
) -> tuple[Result, Result | None] | None:
    """Look up the stored result of a point, and that of its baseline on the same images."""

    def images() -> DataSet:
        if dataset is None:
            raise DataMissingError("The images are not on this machine.")
        return dataset

    known = KnownResults(
        open_chosen_store(options),
        source,
        images,
        cache(lambda: new_pruner(source)),
        EVERYTHING if options.subset is None else options.subset,
        options.seed,
        options.precision,
        options.device,
    )
    try:
        reading = known.read(point)
    except InputError:  # a ratio that results are not kept at
        return None
    if reading is None or options.precision not in ("auto", reading.result.key.precision):
        return None
    if point.recovery.needs_images and reading.result.origin.file:
        return None  # fitted to images elsewhere, it is another network's
    reference = None if point == BASELINE else reading.reference
    return (
        known.restrict_to_subset(reading.result),
        None if reference is None else known.restrict_to_subset(reference),
    )


def _recorded(source: Checkpoint) -> Point | None:
    """Return the point that a file records; that of a baseline is the unpruned one."""
    if source.metadata.get("kind") == "baseline":
        return BASELINE
    spec, recovery = source.metadata.get("spec"), source.metadata.get("recovery")
    try:
        return Point(PruningSpec(**spec), Recovery(**recovery))  # type: ignore[arg-type]
    except (TypeError, InputError):  # absent, or of another version
        return None


def _baseline(source: Checkpoint, options: argparse.Namespace) -> Checkpoint | None:
    """Return the baseline of a file, if it is at hand: itself, the one given, or the default."""
    if source.metadata.get("kind") == "baseline":
        return source
    path = options.baseline or default_baseline(source.dataset)
    found = None if path is None else checkpoint.read(path)
    return found if found and found.fingerprint == _baseline_fingerprint(source) else None


def _of_baseline(source: Checkpoint, name: str, own: str) -> str:
    if source.metadata.get("kind") != "pruned":
        return own
    recorded = source.metadata.get("baseline")
    found = recorded.get(name) if isinstance(recorded, dict) else None
    return found if isinstance(found, str) else ""


def _baseline_name(source: Checkpoint) -> str:
    return _of_baseline(source, "file", source.path.name)


def _baseline_fingerprint(source: Checkpoint) -> str:
    return _of_baseline(source, "fingerprint", source.fingerprint)
