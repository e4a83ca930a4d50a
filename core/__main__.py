"""The command line: train, prune, evaluate."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from core import baseline, checkpoint, data
from core.checkpoint import Checkpoint
from core.cost import compressed_bytes, cost
from core.data import DataSet
from core.device import PRECISIONS, best_device, keep_freed_memory, resolve_precision
from core.errors import InputError
from core.evaluation import Evaluation, evaluate
from core.model import ResNet18, Widths
from core.pruning import ALLOCATIONS, CRITERIA, METHODS, SCOPES, PruningSpec, prune
from core.statistics import wilson_interval
from core.training import EpochEnd, Step, default_recipe
from core.training.recipe import OPTIMISERS

EXAMPLES = """examples:
  python -m core train --dataset digits
  python -m core prune --method channel --ratio 0.3 --out pruned.safetensors
  python -m core evaluate pruned.safetensors --subset 1000
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[0].upper()}{message[1:]}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    keep_freed_memory()
    try:
        result = options.run(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; what was finished is kept.", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(result))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m core",
        description="Prune a ResNet-18 and see what is left of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    shared = Parser(add_help=False)
    shared.add_argument(
        "--json", action="store_true", help="print the result as one last JSON line"
    )

    training = commands.add_parser("train", parents=[shared], help="train a baseline, or load it")
    training.set_defaults(run=run_train)
    training.add_argument("--dataset", choices=data.DATASET_NAMES, default="cifar10")
    training.add_argument("--epochs", type=int, help="default: 5")
    training.add_argument("--optimiser", choices=OPTIMISERS, default="muon")
    training.add_argument(
        "--crops",
        type=pixel_sizes,
        default=(),
        metavar="A,B,...",
        help="train on random crops, so many pixels wide in each equal part of the training",
    )
    training.add_argument("--seed", type=int, default=0)
    training.add_argument(
        "--width", type=int, default=64, help="channels of the first stage; default: 64"
    )
    training.add_argument(
        "--hold-out",
        type=int,
        default=0,
        metavar="N",
        help="validate on N training images that are not trained on, to compare recipes",
    )
    training.add_argument("--out", type=Path, help="the checkpoint to write")
    training.add_argument(
        "--overwrite", action="store_true", help="train again where the checkpoint exists"
    )

    evaluating = Parser(add_help=False, parents=[shared])
    evaluating.add_argument(
        "--subset", type=int, metavar="N", help="test images, drawn by class; default: all"
    )
    evaluating.add_argument("--seed", type=int, default=0, help="of the subset; default: 0")
    evaluating.add_argument("--precision", choices=PRECISIONS, default="auto")

    pruning = commands.add_parser(
        "prune", parents=[evaluating], help="prune a baseline and evaluate what is left"
    )
    pruning.set_defaults(run=run_prune)
    pruning.add_argument("--method", choices=METHODS, required=True)
    pruning.add_argument("--ratio", type=float, required=True, help="0 to 1")
    pruning.add_argument("--criterion", choices=CRITERIA, default="l1")
    pruning.add_argument("--allocation", choices=ALLOCATIONS, default="uniform")
    pruning.add_argument("--scope", choices=SCOPES, default="all")
    pruning.add_argument(
        "--criterion-seed", type=int, default=0, metavar="S", help="of the criterion random"
    )
    pruning.add_argument("--dataset", choices=data.DATASET_NAMES, default="cifar10")
    pruning.add_argument("--baseline", type=Path, metavar="FILE", help="default: the first found")
    pruning.add_argument("--out", type=Path, metavar="FILE", help="keep the pruned network here")
    pruning.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")

    evaluation = commands.add_parser(
        "evaluate", parents=[evaluating], help="evaluate a checkpoint on its data set's test images"
    )
    evaluation.set_defaults(run=run_evaluate)
    evaluation.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="default: CIFAR-10's baseline"
    )
    return parser.parse_args(arguments)


def pixel_sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def run_train(options: argparse.Namespace) -> dict[str, Any]:
    started = time.perf_counter()
    recipe = default_recipe(options.dataset, options.epochs, options.optimiser, options.crops)
    request = baseline.Request(
        dataset=load_announced(options.dataset),
        recipe=recipe,
        seed=options.seed,
        widths=Widths.regular(options.width),
        held_out=options.hold_out,
    )
    found: Checkpoint | None = None
    # The delay keeps the bar from standing above the sentence where there is nothing to train.
    with tqdm(unit="step", disable=options.json, dynamic_ncols=True, delay=0.5) as bar:
        for event in baseline.obtain(request, options.out, options.overwrite):
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
                case baseline.Waiting(step=step):
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
        found.model, accuracy["correct"], accuracy["seen"], time.perf_counter() - started
    ) | {"file": str(found.path)}


def run_prune(options: argparse.Namespace) -> dict[str, Any]:
    spec = PruningSpec(
        method=options.method,
        ratio=options.ratio,
        criterion=options.criterion,
        allocation=options.allocation,
        scope=options.scope,
        seed=options.criterion_seed,
    )
    if options.out is not None:
        checkpoint.refuse_to_overwrite(options.out, options.overwrite)
    source = checkpoint.load(options.baseline or first_baseline(options.dataset), options.dataset)
    dataset = load_announced(options.dataset)
    pruned = prune(source.model, spec)
    assert isinstance(pruned.model, ResNet18)
    result = measure(pruned.model, dataset, options)
    if options.out is not None:
        metadata = {
            "kind": "pruned",
            "spec": asdict(spec.canonical()),
            "baseline": {"file": source.path.name, "fingerprint": source.fingerprint},
            "accuracy": {name: result[name] for name in ("correct", "seen", "precision")},
            **checkpoint.provenance(),
        }
        checkpoint.save(
            pruned.model, options.out, source.dataset, metadata, overwrite=options.overwrite
        )
        print(f"Kept as {options.out}.")
    return result | {"spec": asdict(spec.canonical()), "sparsity": pruned.sparsity}


def run_evaluate(options: argparse.Namespace) -> dict[str, Any]:
    loaded = checkpoint.load(options.file or first_baseline("cifar10"))
    return measure(loaded.model, load_announced(loaded.dataset), options)


def measure(model: ResNet18, dataset: DataSet, options: argparse.Namespace) -> dict[str, Any]:
    """Evaluate on the subset asked for, with a progress bar; print and return the result."""
    size = len(dataset.test_labels) if options.subset is None else options.subset
    chosen = data.subset_indices(dataset.test_labels, size, options.seed)
    device = best_device()
    precision = resolve_precision(options.precision, device)
    started = time.perf_counter()
    evaluation: Evaluation | None = None
    with tqdm(total=size, unit="image", disable=options.json, dynamic_ncols=True) as bar:
        for evaluation in evaluate(
            model, dataset.test_images[chosen], dataset.test_labels[chosen], precision, device
        ):
            bar.set_postfix_str(f"{evaluation.accuracy:.1%}", refresh=False)
            bar.update(evaluation.seen - bar.n)
    assert evaluation is not None
    result = summary(model, evaluation.correct, evaluation.seen, time.perf_counter() - started) | {
        "loss": evaluation.loss,
        "precision": precision,
        "device": device.type,
    }
    low, high = result["interval"]
    print(
        f"accuracy {result['accuracy']:.2%} ({low:.2%} to {high:.2%}), "
        f"{result['correct']:,} of {result['seen']:,} test images right\n"
        f"{result['parameters']:,} parameters, {result['nonzero']:,} of them not zero; "
        f"{result['macs'] / 1e6:,.1f} million MACs an image; "
        f"{result['bytes'] / 1e6:.2f} MB, compressed {result['compressed_bytes'] / 1e6:.2f} MB"
    )
    return result


def summary(model: ResNet18, correct: int, seen: int, seconds: float) -> dict[str, Any]:
    """What every command reports with --json."""
    return {
        "correct": correct,
        "seen": seen,
        "accuracy": correct / seen,
        "interval": wilson_interval(correct, seen),
        **cost(model).to_json(),
        "compressed_bytes": compressed_bytes(model),
        "seconds": seconds,
    }


def load_announced(name: str) -> DataSet:
    """Load a data set; download CIFAR-10 where it is nowhere, and say so."""
    try:
        dataset = data.load(name)
    except data.DataMissingError:
        print(
            f"CIFAR-10 is not on this machine: downloading 170 MB from {data.archive_address()}.",
            file=sys.stderr,
        )
        with tqdm(unit="B", unit_scale=True, dynamic_ncols=True) as bar:
            for progress in data.download_cifar10():
                bar.total = progress.total
                bar.update(progress.received - bar.n)
        dataset = data.load(name)
    for note in dataset.notes:
        print(note, file=sys.stderr)
    return dataset


def first_baseline(dataset: str) -> Path:
    paths = baseline.available(dataset)
    if not paths:
        raise InputError(
            f"There is no baseline for {dataset} yet: "
            f"train one with python -m core train --dataset {dataset}."
        )
    return paths[0]


def show_step(bar: "tqdm[NoReturn]", step: Step) -> None:
    bar.total = step.steps
    bar.set_description(f"epoch {step.epoch}/{step.epochs}", refresh=False)
    bar.set_postfix_str(
        f"loss {step.loss:.3f}, {step.images_per_second:.0f} images/s", refresh=False
    )
    bar.update(step.step - bar.n)


if __name__ == "__main__":
    sys.exit(main())
