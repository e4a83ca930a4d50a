"""Evaluate a checkpoint."""

import argparse
from pathlib import Path
from typing import Any

from core.commands.common import (
    Commands,
    dataset_option,
    evaluation_options,
    load_images_for,
    measure,
    require_default_baseline,
)
from core.networks import checkpoint


def add_evaluate(commands: Commands) -> None:
    evaluation = commands.add_parser(
        "evaluate",
        parents=[evaluation_options(), dataset_option(default=None)],
        help="evaluate a checkpoint on its data set's test images",
    )
    evaluation.set_defaults(run=run_evaluate)
    evaluation.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="checkpoint; default: the app's default baseline for the data set, or CIFAR-10",
    )


def run_evaluate(options: argparse.Namespace) -> dict[str, Any]:
    chosen = options.dataset and options.dataset.name
    path = options.file or require_default_baseline(chosen or "cifar10")
    loaded = checkpoint.load(path, chosen)
    return measure(loaded.network, load_images_for(loaded, options.dataset), options)
