"""Evaluate a checkpoint."""

import argparse
from pathlib import Path
from typing import Any

from core.commands.common import (
    Commands,
    evaluation_options,
    first_baseline,
    load_announced,
    measure,
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
        "file", nargs="?", type=Path, metavar="FILE", help="default: CIFAR-10's baseline"
    )


def run_evaluate(options: argparse.Namespace) -> dict[str, Any]:
    loaded = checkpoint.load(options.file or first_baseline("cifar10"))
    return measure(loaded.model, load_announced(loaded.dataset), options)
