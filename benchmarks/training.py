"""The benchmark of training against matrix products."""

from statistics import median

from benchmarks.benchmark import Measured
from benchmarks.material import images, new_network, operations_per_image
from benchmarks.timing import alternate, matrix_products, product_rate
from core.device import DTYPES, best_device, resolve_precision
from core.training import History, Split, Step, default_recipe, train

STEPS = 3  # minimum number of steps per timing
EPOCHS = 100  # enough that the training does not end before the benchmark


def throughput(repeats: int) -> Measured:
    """Measure operations per second of training, as a fraction of those of matrix products.

    A step is counted as three forward passes: one forward, two backward (inputs and weights).
    """
    device = best_device()
    recipe = default_recipe("cifar10", EPOCHS)
    network = new_network()
    events = train(network, Split.holding_out(images(), 0), recipe, 0, History(), device=device)
    done = 0  # steps of this training

    def some_steps(_: int) -> int:
        """Train for at least STEPS steps; return how many, since fast steps share an event."""
        nonlocal done
        before = done
        while done < before + STEPS:
            event = next(events)
            if isinstance(event, Step):
                done = event.step
        return done - before

    steps: list[int] = []  # steps of each round, including the warm-up
    timings = alternate(
        {
            "core": some_steps,
            **matrix_products(DTYPES[resolve_precision("auto", device)], device),
        },
        repeats,
        check=lambda found: steps.append(found["core"]),
    )
    images_per_second = median(
        number * recipe.batch_size / seconds
        for number, seconds in zip(steps[1:], timings["core"], strict=True)
    )
    reached = images_per_second * 3 * operations_per_image(network)
    possible = product_rate(timings)
    return Measured(
        reached / possible,
        timings,
        note=f"{images_per_second:.0f} images/s, "
        f"{reached / 1e9:.0f} of {possible / 1e9:.0f} GFLOP/s",
    )
