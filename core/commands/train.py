"""Train a baseline, or load it."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from core.baselines.obtain import Waiting, obtain
from core.baselines.request import Request
from core.commands.common import (
    Commands,
    checkpoint_file,
    chosen_dataset,
    device_option,
    json_option,
    named_architecture,
    network_options,
    new_baseline_options,
    summary,
)
from core.data.dataset import DataSet
from core.networks import checkpoint
from core.networks.checkpoint import Checkpoint
from core.specs.architecture import Architecture
from core.training import EpochEnd, Recipe, Step, default_recipe
from core.training.recipe import OPTIMISERS, SCHEDULES

RECIPE_OPTIONS: dict[str, tuple[type, str]] = {
    "warm_up": (float, "fraction of the training in which the rate rises to its peak"),
    "translate": (int, "largest shift of images, in pixels"),
    "cutout": (int, "side of a grey square in each image, in pixels"),
    "average": (int, "number of last epochs whose weights are averaged"),
    "sharpness_aware": (int, "number of last epochs that use SAM (two passes per step)"),
    "sharpness_radius": (float, "radius of SAM, an L2 norm over all parameters"),
}
RECIPE_DEFAULT = "default: from the optimiser's recipe"


def add_train(commands: Commands) -> None:
    training = commands.add_parser(
        "train",
        parents=[json_option(), device_option(), network_options(), new_baseline_options()],
        help="train a baseline, or load it",
    )
    training.set_defaults(run=run_train)
    training.add_argument("--epochs", type=int, help="default: 5; more for few own images")
    training.add_argument("--optimiser", choices=OPTIMISERS, default="muon")
    training.add_argument("--learning-rate", type=float, help=f"peak value; {RECIPE_DEFAULT}")
    training.add_argument("--schedule", choices=SCHEDULES, help=RECIPE_DEFAULT)
    for name, (kind, meaning) in RECIPE_OPTIONS.items():
        training.add_argument(
            f"--{name.replace('_', '-')}", type=kind, help=f"{meaning}; {RECIPE_DEFAULT}"
        )
    training.add_argument("--seed", type=int, default=0)
    training.add_argument(
        "--width",
        type=int,
        metavar="N",
        help="channels of the first convolution, with which the others scale; default: the "
        "architecture's",
    )
    training.add_argument(
        "--hold-out",
        type=int,
        default=0,
        metavar="N",
        help="hold out N training images for validation, to compare recipes",
    )
    training.add_argument(
        "--start-from",
        type=Path,
        metavar="FILE",
        help="start from this baseline's weights and run the whole recipe (a warm restart)",
    )
    training.add_argument(
        "--teachers",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="train on the mean probabilities of these baselines, not on labels (distillation)",
    )
    training.add_argument(
        "--mirror-teachers",
        action="store_true",
        help="average the teachers over each image and its mirror image",
    )
    training.add_argument("--out", type=checkpoint_file, help="the checkpoint to write")
    training.add_argument(
        "--overwrite", action="store_true", help="train again if the checkpoint exists"
    )


def _recipe(options: argparse.Namespace, dataset: DataSet) -> Recipe:
    recipe = default_recipe(
        dataset.name,
        options.epochs,
        options.optimiser,
        len(dataset.train_labels),
        dataset.image_size,
    )
    if options.learning_rate is not None:
        recipe = recipe.at_rate(options.learning_rate)
    names = ("schedule", "mirror_teachers", *RECIPE_OPTIONS)
    given = {name: getattr(options, name) for name in names}
    return replace(recipe, **{name: value for name, value in given.items() if value is not None})


def run_train(options: argparse.Namespace) -> dict[str, Any]:
    started = time.perf_counter()
    dataset = chosen_dataset(options)
    name = dataset.name
    request = Request(
        dataset=dataset,
        recipe=_recipe(options, dataset),
        seed=options.seed,
        architecture=named_architecture(options) or Architecture(),
        width=options.width,
        held_out=options.hold_out,
        start=options.start_from and checkpoint.load(options.start_from, name),
        teachers=tuple(checkpoint.load(path, name) for path in options.teachers),
    )
    found: Checkpoint | None = None
    # With the delay, no bar is shown if the baseline only has to be loaded.
    with tqdm(unit="step", disable=options.json, dynamic_ncols=True, delay=0.5) as bar:
        for event in obtain(request, options.out, options.overwrite, device=options.device):
            match event:
                case Step():
                    show_step(bar, event)
                case EpochEnd():
                    bar.write(
                        f"epoch {event.epoch}/{event.epochs}: loss {event.loss:.3f}, "
                        f"validation accuracy {event.correct / event.seen:.1%} of {event.seen:,}, "
                        f"{event.seconds:.0f} s",
                        file=sys.stderr,
                    )
                case Waiting(step=step):
                    bar.set_description("another process trains this baseline")
                    if step is not None:
                        show_step(bar, step)
                case Checkpoint():
                    found = event
    assert found is not None
    accuracy = found.metadata["accuracy"]
    print(
        f"{found.path}: {accuracy['correct']:,} of {accuracy['seen']:,} test images right "
        f"({accuracy['correct'] / accuracy['seen']:.2%})"
    )
    return summary(
        found.network, accuracy["correct"], accuracy["seen"], time.perf_counter() - started
    ) | {"file": str(found.path)}


def show_step(bar: "tqdm[NoReturn]", step: Step) -> None:
    bar.total = step.steps
    bar.set_description(f"epoch {step.epoch}/{step.epochs}", refresh=False)
    bar.set_postfix_str(
        f"loss {step.loss:.3f}, {step.images_per_second:.0f} images/s", refresh=False
    )
    bar.update(step.step - bar.n)
