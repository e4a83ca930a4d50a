"""Helpers shared by several commands."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from tqdm import tqdm

from core.baselines.fit import fitting
from core.baselines.shelf import default_baseline
from core.data import loading
from core.data.cifar import BOTH
from core.data.dataset import DataMissingError, DataSet, subset_indices
from core.data.folder import USUAL_SIZE
from core.data.loading import Choice
from core.device import DEVICES, PRECISIONS, resolve_precision
from core.errors import InputError
from core.measuring.cost import compressed_bytes, cost
from core.measuring.evaluation import evaluate
from core.measuring.outcome import Evaluation
from core.measuring.statistics import wilson_interval
from core.networks.architectures.elsewhere import allow_own_code
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.networks.registry import ARCHITECTURES, entry, is_own_code
from core.specs.architecture import Architecture
from core.specs.point import UNPRUNED, Point
from core.specs.recovery import NOTHING
from core.specs.vocabulary import DATASETS, FOLDER, METHODS, data_set_name, is_folder
from core.specs.written import point_of

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # commands add their parsers here


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, without the usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[0].upper()}{message[1:]}. See {self.prog} --help.\n")


def json_option() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--json", action="store_true", help="print the result as one last JSON line"
    )
    return parser


def checkpoint_file(text: str) -> Path:
    """Parse an output path; reject suffixes of other formats, such as .pt."""
    path = Path(text)
    if path.suffix not in ("", ".safetensors"):
        raise argparse.ArgumentTypeError(
            f"{text} should end in .safetensors, the only format that can be written"
        )
    return path


def device_option() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="device to compute on; default: auto, which is cuda, else mps, else cpu",
    )
    return parser


def allocation_options() -> Parser:
    """Return the further options of how much each layer or group loses."""
    parser = Parser(add_help=False)
    parser.add_argument(
        "--floor",
        type=float,
        default=0.0,
        metavar="PART",
        help="where layers or groups compete: the part of the ratio that each loses at least; "
        "default: 0",
    )
    parser.add_argument(
        "--ceiling",
        type=float,
        default=1.0,
        metavar="RATIO",
        help="where layers or groups compete: what each loses at most; default: 1",
    )
    parser.add_argument(
        "--round-to",
        type=int,
        default=1,
        metavar="N",
        help="a multiple of N channels stays of each group; default: 1",
    )
    parser.add_argument(
        "--rest-allocation",
        choices=METHODS["fine"].allocations,
        default="global",
        help="of the method hybrid: how much of these weights each layer loses; default: global",
    )
    return parser


def network_options() -> Parser:
    """Return the options that name an architecture."""
    parser = Parser(add_help=False)
    parser.add_argument(
        "--network",
        metavar="NAME",
        help=f"one of {', '.join(ARCHITECTURES)}; torchvision:NAME or timm:NAME; or your own "
        "package.module:function, which returns the network",
    )
    parser.add_argument(
        "--setting",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="settings of the network, such as shortcut=conv",
    )
    return parser


def named_architecture(options: argparse.Namespace) -> Architecture | None:
    """Return the architecture that the options name, or None. Raises InputError if unusable.

    To name own code on the command line is to allow it.
    """
    if options.network is None:
        if options.setting:
            raise InputError("Settings need the network that they are of: name it with --network.")
        return None
    settings = dict(map(_setting, options.setting))
    architecture = Architecture.of(options.network, settings)
    if is_own_code(architecture):
        allow_own_code(architecture.name)
    entry(architecture)
    return architecture


def _setting(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise InputError(f"A setting is written NAME=VALUE, not {text!r}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def evaluation_options(usual_subset: str = "all") -> Parser:
    """Return the options of an evaluation; `usual_subset` describes the default of --subset."""
    parser = Parser(add_help=False, parents=[json_option(), device_option()])
    parser.add_argument(
        "--subset",
        type=int,
        metavar="N",
        help=f"number of test images, stratified by class; default: {usual_subset}",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the subset; default: 0")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    return parser


def measure(network: Network, dataset: DataSet, options: argparse.Namespace) -> dict[str, Any]:
    """Evaluate on the chosen subset, with a progress bar; print and return the result."""
    size = len(dataset.test_labels) if options.subset is None else options.subset
    chosen = subset_indices(dataset.test_labels, size, options.seed)
    precision = resolve_precision(options.precision, options.device)
    started = time.perf_counter()
    evaluation: Evaluation | None = None
    with tqdm(total=size, unit="image", disable=options.json, dynamic_ncols=True) as bar:
        for evaluation in evaluate(
            network,
            dataset.test_images[chosen],
            dataset.test_labels[chosen],
            precision,
            options.device,
        ):
            bar.set_postfix_str(f"{evaluation.accuracy:.1%}", refresh=False)
            bar.update(evaluation.seen - bar.n)
    assert evaluation is not None
    result = summary(
        network, evaluation.correct, evaluation.seen, time.perf_counter() - started
    ) | {
        "loss": evaluation.loss,
        "precision": precision,
        "device": options.device.type,
    }
    low, high = result["interval"]
    print(
        f"accuracy {result['accuracy']:.2%} ({low:.2%} to {high:.2%}), "
        f"{result['correct']:,} of {result['seen']:,} test images right"
    )
    print_costs(result)
    return result


def print_costs(result: Mapping[str, Any]) -> None:
    print(
        f"{result['parameters']:,} parameters, {result['nonzero']:,} of them non-zero; "
        f"{result['macs'] / 1e6:,.1f} million MACs per image; "
        f"{result['bytes'] / 1e6:.2f} MB, compressed {result['compressed_bytes'] / 1e6:.2f} MB"
    )


def summary(network: Network, correct: int, seen: int, seconds: float) -> dict[str, Any]:
    """Return the values that every command reports with --json."""
    return {
        "correct": correct,
        "seen": seen,
        "accuracy": correct / seen,
        "interval": wilson_interval(correct, seen),
        **costs(network),
        "seconds": seconds,
    }


def costs(network: Network) -> dict[str, Any]:
    """Return the part of the summary that needs no images."""
    return {**cost(network).to_json(), "compressed_bytes": compressed_bytes(network.module)}


def dataset_option(default: str | None = "cifar10") -> Parser:
    """Return the option that chooses a data set; a `default` of None means the checkpoint's."""
    parser = Parser(add_help=False)
    parser.add_argument(
        "--dataset",
        type=_choice,
        default=default and Choice.of(default),
        metavar="NAME",
        help=f"one of {', '.join(DATASETS)}, or {FOLDER}PATH for own images in PATH/train/CLASS "
        f"and PATH/test/CLASS; default: {default or 'what the checkpoint was trained on'}",
    )
    return parser


def new_baseline_options() -> Parser:
    """Return the options that choose the images of a new baseline."""
    parser = Parser(add_help=False, parents=[dataset_option()])
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help=f"width and height of own images, in pixels; default: {USUAL_SIZE}",
    )
    return parser


def chosen_dataset(options: argparse.Namespace) -> DataSet:
    """Load or download the data set that the options name.

    Raises InputError for an image size where the images have one already.
    """
    chosen: Choice = options.dataset
    if options.image_size is not None and not is_folder(chosen.name):
        raise InputError(
            f"The images of {data_set_name(chosen.name).title} have one size: --image-size is for "
            "a folder of own images."
        )
    return load_or_download(chosen.name, own=chosen.folder, image_size=options.image_size)


def _choice(text: str) -> Choice:
    try:
        return Choice.of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from error


def named_network(text: str, baseline: Path | None, dataset: str) -> tuple[Path, Point]:
    """Return the file of the network that a text names, and the pruning of it.

    The text is a checkpoint's path, or a point that is pruned from `baseline`, by default from the
    data set's default one. Raises InputError if it is neither.
    """
    if text.endswith(".safetensors") or Path(text).is_file():
        return Path(text), Point(UNPRUNED, NOTHING)
    point = point_of(text)
    return baseline or require_default_baseline(dataset), point


def load_images_for(loaded: Checkpoint, choice: Choice | None) -> DataSet:
    """Load or download the images that a network was trained on, at the size that it takes.

    Raises InputError if they are of other classes.
    """
    return fitting(
        load_or_download(
            loaded.dataset,
            own=choice and choice.folder,
            image_size=loaded.signature.image_size,
        ),
        loaded,
    )


def load_or_download(name: str, **where: Any) -> DataSet:
    """Load a data set; if it is not on this machine but can be downloaded, say so and do that.

    `where` is passed on to `loading.load`.
    """
    try:
        return _load(name, **where)
    except DataMissingError:
        if name not in BOTH:
            raise
    cifar = BOTH[name]
    print(
        f"{cifar.title} is not on this machine: downloading {cifar.archive_megabytes} MB from "
        f"{loading.archive_address(cifar)}.",
        file=sys.stderr,
    )
    with tqdm(unit="B", unit_scale=True, dynamic_ncols=True) as bar:
        for progress in loading.download(cifar):
            bar.total = progress.total
            bar.update(progress.received - bar.n)
    return _load(name, **where)


def load_if_present(loaded: Checkpoint, choice: Choice | None) -> DataSet | None:
    """Do the same as `load_images_for`, but return None for images not on this machine."""
    try:
        size = loaded.signature.image_size
        return fitting(_load(loaded.dataset, own=choice and choice.folder, image_size=size), loaded)
    except DataMissingError:
        return None


def _load(name: str, **where: Any) -> DataSet:
    """Load a data set and print its notes, and progress where own images take long to decode."""
    with tqdm(desc="Decoding", unit=" images", dynamic_ncols=True, delay=1) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        dataset = loading.load(name, **where, report=report)
    for note in dataset.notes:
        print(note, file=sys.stderr)
    return dataset


def require_default_baseline(dataset: str) -> Path:
    """Return the default baseline, as in the app. Raises InputError if there is none."""
    path = default_baseline(dataset)
    if path is None:
        raise InputError(
            f"There is no baseline for {dataset} yet: train one with "
            f"python -m core train --dataset {FOLDER + 'PATH' if is_folder(dataset) else dataset}."
        )
    return path
