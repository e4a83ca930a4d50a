"""Prune a baseline and evaluate the pruned network."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.commands.common import (
    Commands,
    allocation_options,
    checkpoint_file,
    costs,
    dataset_option,
    evaluation_options,
    load_if_present,
    load_images_for,
    measure,
    print_costs,
    require_default_baseline,
)
from core.commands.making import make
from core.data.dataset import DataSet
from core.errors import InputError
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import STARTS, TARGETS, Recovery
from core.specs.vocabulary import (
    ALL_RECOVERIES,
    ALLOCATIONS,
    CRITERIA,
    METHODS,
    NO_RECOVERY,
    SCOPES,
)
from core.studies.taking import ACCURACY, pruned_metadata


def add_prune(commands: Commands) -> None:
    pruning = commands.add_parser(
        "prune",
        parents=[evaluation_options(), dataset_option(), allocation_options()],
        help="prune a baseline and evaluate the result",
    )
    pruning.set_defaults(run=run_prune)
    pruning.add_argument("--method", choices=METHODS, required=True)
    pruning.add_argument("--ratio", type=float, required=True, help="0 to 1")
    pruning.add_argument("--criterion", choices=CRITERIA, default="l1")
    pruning.add_argument("--allocation", choices=ALLOCATIONS, default="uniform")
    pruning.add_argument("--scope", choices=SCOPES, default="all")
    pruning.add_argument(
        "--rest-ratio",
        type=float,
        default=0.0,
        metavar="RATIO",
        help="of the method hybrid: the part of the weights left that becomes zero; default: 0",
    )
    pruning.add_argument(
        "--override",
        nargs="+",
        type=override,
        default=[],
        metavar="NAME=RATIO",
        help="another ratio for single layers or groups of channels; 0 does not prune them",
    )
    pruning.add_argument(
        "--criterion-seed", type=int, default=0, metavar="S", help="seed of the criterion random"
    )
    pruning.add_argument(
        "--recovery",
        choices=ALL_RECOVERIES,
        default=NO_RECOVERY,
        help="merge adds the weights of lost channels to those of similar ones, without images; bn "
        "re-estimates batch-norm statistics from 2,000 training images, reconstruct adapts the "
        "weights that are left to them, finetune trains on; default: none",
    )
    pruning.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="of finetune: images to train on; more than there are means several passes; "
        f"default: {ALL_RECOVERIES['finetune'].images:,}",
    )
    pruning.add_argument(
        "--start",
        choices=STARTS,
        default=STARTS[-1],
        help=f"of finetune: the recovery before it; default: {STARTS[-1]}",
    )
    pruning.add_argument(
        "--targets",
        choices=TARGETS,
        default=TARGETS[0],
        help=f"of finetune: learn what the baseline answers, or the labels; default: {TARGETS[0]}",
    )
    pruning.add_argument(
        "--prunings",
        type=int,
        default=1,
        metavar="N",
        help="of finetune: reach the ratio in N steps and train after each; default: 1, at once",
    )
    pruning.add_argument(
        "--baseline", type=Path, metavar="FILE", help="default: the app's default baseline"
    )
    pruning.add_argument(
        "--out", type=checkpoint_file, metavar="FILE", help="save the pruned network to FILE"
    )
    pruning.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def override(text: str) -> tuple[str, float]:
    """Parse an override such as "layer1.0.conv1=0.3"."""
    name, _, ratio = text.rpartition("=")
    try:
        return name, float(ratio)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"should be a name and a ratio, such as layer1.0.conv1=0.3, not {text!r}"
        ) from error


def run_prune(options: argparse.Namespace) -> dict[str, Any]:
    spec = PruningSpec(
        method=options.method,
        ratio=options.ratio,
        criterion=options.criterion,
        allocation=options.allocation,
        scope=options.scope,
        seed=options.criterion_seed,
        overrides=tuple(options.override),
        floor=options.floor,
        ceiling=options.ceiling,
        round_to=options.round_to,
        rest_ratio=options.rest_ratio,
        rest_allocation=options.rest_allocation,
    )
    if options.out is not None:
        checkpoint.refuse_to_overwrite(options.out, options.overwrite)
    source = checkpoint.load(
        options.baseline or require_default_baseline(options.dataset.name), options.dataset.name
    )
    recovery = _chosen_recovery(options)
    dataset = _load_images(source, options)
    point = Point(spec, recovery)
    pruned, network = make(point, source, dataset, options)
    result = _report_costs_only(network) if dataset is None else measure(network, dataset, options)
    if options.out is not None:
        accuracy = None if dataset is None else {name: result[name] for name in ACCURACY}
        metadata = pruned_metadata(point, source, accuracy)
        checkpoint.save(network, options.out, source.dataset, metadata, overwrite=options.overwrite)
        print(f"Saved as {options.out}.")
    return result | {
        "spec": asdict(spec.canonical()),
        "recovery": recovery.to_json(),
        "sparsity": pruned.sparsity,
        "notes": list(pruned.notes),
    }


def _chosen_recovery(options: argparse.Namespace) -> Recovery:
    recovery = Recovery.named(options.recovery)
    if not recovery.trains:
        for name, is_given in (
            ("images", options.images is not None),
            ("prunings", options.prunings != 1),
        ):
            if is_given:
                raise InputError(f"--{name} is of the recovery finetune: add --recovery finetune.")
        return recovery
    images = recovery.images if options.images is None else options.images
    return replace(
        recovery,
        images=images,
        start=options.start,
        targets=options.targets,
        prunings=options.prunings,
    )


def _load_images(source: Checkpoint, options: argparse.Namespace) -> DataSet | None:
    """Load the data set; return None if it is missing and not needed to write --out."""
    if options.out is not None and not Recovery.named(options.recovery).needs_images:
        return load_if_present(source, options.dataset)
    return load_images_for(source, options.dataset)


def _report_costs_only(network: Network) -> dict[str, Any]:
    """Print that the accuracy was not measured; return the other values."""
    print(
        "The accuracy was not measured, because the images are not on this machine: "
        "python -m core evaluate downloads them, unless they are your own."
    )
    result = {**dict.fromkeys((*ACCURACY, "accuracy", "interval")), **costs(network)}
    print_costs(result)
    return result
