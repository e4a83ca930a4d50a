"""Benchmarks of training: against matrix products, and of a pruned network against plain."""

from collections.abc import Iterator
from statistics import median

from benchmarks.benchmark import Measured
from benchmarks.material import images, network, new_network, operations_per_image
from benchmarks.timing import Side, alternate, matrix_products, product_rate
from core.device import DTYPES, best_device, resolve_precision
from core.pruning import prune
from core.recovery.tuning import copy_to_train, recipe_for
from core.specs.pruning import PruningSpec
from core.training import EpochEnd, History, Split, Step, default_recipe, train

STEPS = 3  # minimum number of steps per timing
EPOCHS = 100  # enough that the training does not end before the benchmark
PRUNED = PruningSpec("fine", 0.9)


def throughput(repeats: int) -> Measured:
    """Measure operations per second of training, as a fraction of those of matrix products.

    A step is counted as three forward passes: one forward, two backward (inputs and weights).
    """
    device = best_device()
    recipe = default_recipe("cifar10", EPOCHS)
    model = new_network()
    events = train(model, Split.holding_out(images(), 0), recipe, 0, History(), device=device)
    steps: list[dict[str, int]] = []  # of each round, including the warm-up
    timings = alternate(
        {
            "core": some_steps(events),
            **matrix_products(DTYPES[resolve_precision("auto", device)], device),
        },
        repeats,
        check=steps.append,
    )
    rate = images_per_second("core", steps, timings, recipe.batch_size)
    reached = rate * 3 * operations_per_image(model)
    possible = product_rate(timings)
    return Measured(
        reached / possible,
        timings,
        note=f"{rate:.0f} images/s, {reached / 1e9:.0f} of {possible / 1e9:.0f} GFLOP/s",
    )


def tuning(repeats: int) -> Measured:
    """Measure the images per second of tuning a pruned network, against training it as plain.

    The note says what is left of that where the answers of the baseline are learnt too.
    """
    baseline, _ = network()
    pruned = prune(baseline, PRUNED).network
    split = Split.holding_out(images(), 0)
    recipe = recipe_for(EPOCHS * len(split.labels), len(split.labels), can_be_mirrored=True)

    def of(**options: object) -> Side:
        trained = copy_to_train(pruned)
        return some_steps(train(trained, split, recipe, 0, History(), **options))  # type: ignore[arg-type]

    steps: list[dict[str, int]] = []
    timings = alternate(
        {
            "plain": of(),
            "zeros held": of(hold_zeros=True),
            "and taught": of(hold_zeros=True, teachers=[baseline]),
        },
        repeats,
        check=steps.append,
    )
    plain, held, taught = (
        images_per_second(side, steps, timings, recipe.batch_size) for side in timings
    )
    return Measured(
        held / plain, timings, note=f"{plain:.0f} images/s as plain; taught {taught / plain:.2f}"
    )


def some_steps(events: Iterator[Step | EpochEnd]) -> Side:
    """Return a side that trains for at least STEPS steps and returns how many.

    Fast steps share an event, so that there may be more.
    """
    done = 0  # steps of this training

    def side(_: int) -> int:
        nonlocal done
        before = done
        while done < before + STEPS:
            event = next(events)
            if isinstance(event, Step):
                done = event.step
        return done - before

    return side


def images_per_second(
    side: str, steps: list[dict[str, int]], timings: dict[str, list[float]], batch_size: int
) -> float:
    """Return the median rate of a side; `steps` are those of each round, with the warm-up."""
    return median(
        found[side] * batch_size / seconds
        for found, seconds in zip(steps[1:], timings[side], strict=True)
    )
