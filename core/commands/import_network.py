"""Import a network that other code trained, as a baseline."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.baselines.importing import Imported, ImportRequest, import_baseline
from core.baselines.trying import Tried, Trying
from core.commands.common import (
    Commands,
    chosen_dataset,
    device_option,
    json_option,
    named_architecture,
    network_options,
    new_baseline_options,
    summary,
)
from core.data.normalisation import Normalisation
from core.errors import InputError
from core.measuring.statistics import wilson_interval


def add_import(commands: Commands) -> None:
    importing = commands.add_parser(
        "import",
        parents=[json_option(), device_option(), network_options(), new_baseline_options()],
        help="make a baseline of a network that other code trained",
    )
    importing.set_defaults(run=run_import)
    importing.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="safetensors, or what torch.save wrote (.pth, .pt, .th, .tar): a state_dict, alone or "
        "with other entries; nothing in it is executed",
    )
    for name in ("mean", "std"):
        importing.add_argument(
            f"--{name}",
            type=float,
            nargs="+",
            metavar="X",
            help=f"the {name} of each colour that its images were normalised with, for pixels from "
            "0 to 1; default: try those that are known on 1,000 training images",
        )
    importing.add_argument(
        "--entry",
        metavar="KEY",
        help="where the tensors are in the file, such as model_ema; default: the likeliest place",
    )
    importing.add_argument(
        "--name", help="name of the baseline; default: from the network and the file"
    )
    importing.add_argument(
        "--overwrite", action="store_true", help="replace a baseline of this name"
    )


def run_import(options: argparse.Namespace) -> dict[str, Any]:
    started = time.perf_counter()
    request = ImportRequest(
        file=options.file,
        dataset=chosen_dataset(options),
        architecture=named_architecture(options),
        normalisation=_normalisation(options),
        name=options.name,
        entry=options.entry,
    )
    found: Imported | None = None
    with tqdm(disable=options.json, dynamic_ncols=True, delay=0.5) as bar:
        for event in import_baseline(request, options.overwrite, options.device):
            match event:
                case Trying(what=what, done=done, total=total):
                    bar.unit, bar.total = f" {what}", total
                    bar.update(done - bar.n)
                case Imported():
                    found = event
    assert found is not None
    loaded = found.checkpoint
    for note in found.notes:
        print(note, file=sys.stderr)
    if found.tried and not options.json:
        print(_table(found.tried))
    accuracy = loaded.metadata["accuracy"]
    print(
        f"{loaded.path}: {loaded.network.architecture}, {accuracy['correct']:,} of "
        f"{accuracy['seen']:,} test images right ({accuracy['correct'] / accuracy['seen']:.2%})"
    )
    return summary(
        loaded.network, accuracy["correct"], accuracy["seen"], time.perf_counter() - started
    ) | {
        "file": str(loaded.path),
        "architecture": loaded.signature.architecture.to_json(),
        "normalisations": [each.to_json() for each in found.tried],
        "notes": list(found.notes),
    }


def _normalisation(options: argparse.Namespace) -> Normalisation | None:
    if options.mean is None and options.std is None:
        return None
    if options.mean is None or options.std is None:
        raise InputError("Give --mean and --std together, or neither.")
    return Normalisation.of(options.mean, options.std)


def _table(tried: tuple[Tried, ...]) -> str:
    lines = [f"{'normalisation':<32}{'training images right':>22}   interval"]
    for each in sorted(tried, key=lambda each: (-each.is_best, -each.correct)):
        low, high = wilson_interval(each.correct, each.seen)
        remark = "taken" if each.is_best else "" if each.can_be_told_apart else "not told apart"
        right = f"{each.correct:,} of {each.seen:,}"
        lines.append(f"{each.name:<32}{right:>22}   {low:.1%} to {high:.1%}  {remark}".rstrip())
    return "\n".join(lines)
