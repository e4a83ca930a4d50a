"""Export a network as files that work without this project."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
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
from core.commands.making import ACCURACY, make, pruned_metadata
from core.commands.measuring import open_chosen_store, store_option
from core.data.dataset import DataMissingError, DataSet, subset_indices
from core.errors import InputError
from core.export import tensorrt
from core.export.bundle import Bundle, check_formats, export, write
from core.export.card import Accuracy, File, Origin, card_text, run_card
from core.export.names import check_module_name, check_name, suggested_name
from core.export.subject import MOST_IMAGES, Subject
from core.export.vocabulary import FORMATS
from core.formatting import listed, percent_within
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint, refuse_to_overwrite
from core.networks.metadata import provenance
from core.networks.network import Network
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import data_set_name
from core.specs.written import UNPRUNED_TEXT, text_of
from core.sweeps.known import BASELINE, KnownResults
from core.sweeps.measurer import new_pruner

CARDS = (".card.json", ".card.md")
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
        _description(source, point),
        source.dataset,
        class_names(source),
        source.metadata if is_file else pruned_metadata(asked, source, _of_file(accuracy)),
        *_test_images(dataset),
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
        [File(name, len(content), bundle.hashes[name]) for name, content in bundle.files.items()],
        bundle.checks,
        _versions(to.formats),
        datetime.now(UTC).isoformat(timespec="seconds"),
        options.command_line,
        notes=_notes(subject, to),
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
    texts = (json.dumps(card, indent=2) + "\n", card_text(card))
    cards = {f"{to.name}{each}": text.encode() for each, text in zip(CARDS, texts, strict=True)}
    files = Bundle({**bundle.files, **cards}, bundle.checks)
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
    title = data_set_name(source.dataset).title
    known = _known(point, source, dataset, options)
    if known is not None:
        result, reference = known
        accuracy = _as_accuracy(result, title)
        within = percent_within(accuracy.correct / accuracy.seen, *accuracy.interval)
        print(f"accuracy {within}, as measured before on {accuracy.images}")
        return accuracy, None if reference is None else _as_accuracy(reference, title)
    if dataset is None:
        print("The accuracy was not measured, because the images are not on this machine.")
        return None, None
    measured = measure(network, dataset, options)
    return (
        Accuracy(
            measured["correct"],
            measured["seen"],
            measured["interval"],
            _images(measured["seen"], options.seed, title),
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
    reference = None if point == BASELINE else reading.reference
    return (
        known.restrict_to_subset(reading.result),
        None if reference is None else known.restrict_to_subset(reference),
    )


def _as_accuracy(result: Result, title: str) -> Accuracy:
    evaluation, key = result.evaluation, result.key
    return Accuracy(
        evaluation.correct,
        evaluation.seen,
        evaluation.interval,
        _images(evaluation.seen, key.subset_seed, title),
        key.precision,
    )


def _images(seen: int, seed: int, title: str) -> str:
    return f"{seen:,} test images of {title}{f', drawn with seed {seed}' if seed else ''}"


def _of_file(accuracy: Accuracy | None) -> dict[str, Any] | None:
    return None if accuracy is None else {name: getattr(accuracy, name) for name in ACCURACY}


def _test_images(dataset: DataSet | None) -> tuple[Any, Any]:
    """Return the test images that files are checked on, stratified by class, and their labels."""
    if dataset is None:
        return None, None
    chosen = subset_indices(dataset.test_labels, min(MOST_IMAGES, len(dataset.test_labels)))
    return dataset.test_images[chosen], dataset.test_labels[chosen]


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


def _description(source: Checkpoint, point: Point | None) -> str:
    said = "pruned" if point is None else text_of(point)
    return f"{source.signature.architecture} on {data_set_name(source.dataset).title}, {said}"


def _versions(formats: Sequence[str]) -> dict[str, str]:
    packages = dict.fromkeys(each for name in formats for each in FORMATS[name].packages)
    return {**provenance()["versions"], **{each: version(each) for each in packages}}


def _notes(subject: Subject, to: Destination) -> list[str]:
    """Return what a person who runs the files must know."""
    signature = subject.network.signature
    _, *shape = signature.example
    mean, std = signature.normalisation.mean, signature.normalisation.std
    pixels = "pixels from 0 to 1, colours first"
    outside = f"{pixels}, less the mean {mean} and divided by the std {std}"
    size = "x".join(map(str, ("N", *shape)))
    notes = []
    for name in to.formats:
        inside = subject.normalise and FORMATS[name].can_normalise
        notes.append(f"{FORMATS[name].label}: fp32 inputs {size}, {pixels if inside else outside}.")
    if "onnx" in to.formats:
        command = tensorrt.command_text(Path(f"{to.name}.onnx"), signature)
        notes.append(f"TensorRT: `{command}` builds an engine from the ONNX file.")
    return notes
