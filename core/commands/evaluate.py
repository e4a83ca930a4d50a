"""Evaluate a checkpoint."""

import argparse
from pathlib import Path
from typing import Any

from core.commands.common import (
    Commands,
    evaluation_options,
    load_or_download,
    measure,
    require_default_baseline,
)
from core.networks import checkpoint


def add_evaluate(commands: Commands) -> None:
    evaluation = commands.add_parser(
        "evaluate",
        parents=[evaluation_options()],
        help="evaluate a checkpoint on its data set's test images",
    )
    evaluation.set_defaults(run=run_evaluate)
    evaluation.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="checkpoint; default: the app's default baseline for CIFAR-10",
    )


def run_evaluate(options: argparse.Namespace) -> dict[str, Any]:
    loaded = checkpoint.load(options.file or require_default_baseline("cifar10"))
    return measure(loaded.network, load_or_download(loaded.dataset), options)
