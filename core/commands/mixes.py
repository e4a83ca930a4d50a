"""Find the best mix of channels and weights for each size, and judge it on other images."""

import argparse
from typing import Any

from core.commands.common import Commands, evaluation_options, load_images_for
from core.commands.measuring import (
    add_lists,
    load_chosen_baseline,
    measure_and_export,
    open_chosen_store,
    run_points,
    stored_results,
    storing_options,
    subset_size,
)
from core.errors import InputError
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import RECOVERIES
from core.studies.mixes import (
    CONTENDERS,
    MIX_IMAGES,
    MIX_SEED,
    Step,
    best_path,
    mix_points,
    steps,
    with_sizes,
)
from core.sweeps.measurer import Measurer, new_pruner


def add_mixes(commands: Commands) -> None:
    mixing = commands.add_parser(
        "mixes",
        parents=[evaluation_options(f"{MIX_IMAGES:,}"), storing_options()],
        help="choose the best hybrid of each size on some test images, and judge it, weights alone "
        "and channels alone of the same size on the others",
    )
    mixing.set_defaults(run=run_mixes, seed=MIX_SEED)
    add_lists(mixing, [("recoveries", RECOVERIES, ["reconstruct"])])


def run_mixes(options: argparse.Namespace) -> dict[str, Any]:
    loaded = load_chosen_baseline(options)
    dataset = load_images_for(loaded, options.dataset)
    pruner = new_pruner(loaded)
    store = open_chosen_store(options)
    everything = len(dataset.test_labels)
    parameters = sum(loaded.network.nonzero.values())
    few = subset_size(options, MIX_IMAGES, dataset)
    if few >= everything:
        raise InputError(
            f"All {everything:,} test images would choose the mixes, and none is left to judge "
            "them: give fewer with --subset."
        )

    def measurer(subset: int, seed: int) -> Measurer:
        return Measurer(loaded, dataset, subset, seed, options.precision, options.device, pruner)

    choosing, judging = measurer(few, options.seed), measurer(everything, 0)
    spec = PruningSpec("channel", 0.5)
    paths: dict[str, list[Step]] = {}
    points: list[Point] = []
    for name in options.recoveries:
        recovery = Recovery.named(name)
        mixes = mix_points(spec, [recovery])
        run_points(choosing, mixes, store, options.json)
        correct = with_sizes(stored_results(choosing, mixes, store), parameters)
        paths[name] = steps(pruner, spec, best_path(correct))
        points += [Point(each, recovery) for step in paths[name] for each in step.specs.values()]
    _, results = measure_and_export(judging, points, options)
    by_key = {result.key: result for result in results}
    told: dict[str, Any] = {}
    for name, path in paths.items():
        told[name] = []
        for step in path:
            row: dict[str, Any] = {"left": step.mix.left, "ratio": step.mix.ratio}
            row["rest_ratio"] = step.mix.rest
            for each in step.specs:
                result = by_key[judging.key(Point(step.specs[each], Recovery.named(name)))]
                other = result.evaluate_outside(few, options.seed, judging.test_labels)
                assert other is not None
                row[each] = other.accuracy
            told[name].append(row)
            print(_line(name, row))
    return told


def _line(recovery: str, row: dict[str, Any]) -> str:
    reached = ", ".join(f"{each.lower()} {row[each]:.1%}" for each in CONTENDERS if each in row)
    return (
        f"{recovery}: {row['left']:.1%} of the parameters, {row['ratio']:.1f} of the channels and "
        f"{row['rest_ratio']:.1f} of the rest: {reached}"
    )
