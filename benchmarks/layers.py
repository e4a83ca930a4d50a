"""Benchmarks of single layers: the sensitivity scan, and the histogram of the close-up."""

from statistics import median

from benchmarks.benchmark import CannotRunError, Measured
from benchmarks.material import images, network
from benchmarks.timing import alternate
from core.baselines.shelf import default_baseline
from core.data.dataset import subset_indices
from core.measuring.evaluation import evaluate_fully
from core.networks import checkpoint
from core.networks.layers import prunable_layers
from core.pruning import Pruner
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.studies.closeup import CloseUp, histogram
from core.studies.sensitivity import SCAN_RATIOS, ScanMeasurer, units

SCANNED_IMAGES = 1000


def scan_against_full(_repeats: int) -> Measured:
    """Compare a sensitivity scan with one full evaluation per point.

    The sides alternate for each layer, so one run of each is enough.
    """
    dataset = images()
    path = default_baseline("cifar10")
    if path is None:
        raise CannotRunError("It needs a baseline: python -m core train.")
    loaded = checkpoint.load(path)
    chosen = subset_indices(dataset.test_labels, SCANNED_IMAGES, 0)
    test_images, labels = dataset.test_images[chosen], dataset.test_labels[chosen]
    pruner = Pruner(loaded.network)
    measurer = ScanMeasurer(loaded, dataset, SCANNED_IMAGES, pruner=pruner)
    layers = units(loaded.network, "fine")

    def specs(number: int) -> list[PruningSpec]:
        layer = layers[max(0, number - 1)]  # the warm-up (0) also uses the first layer
        return [PruningSpec("fine", 0.0, overrides=((layer, ratio),)) for ratio in SCAN_RATIOS]

    def by_scan(number: int) -> list[int]:
        found = []
        for spec in specs(number):
            *_, result = measurer.measure(Point(spec, Recovery()))
            assert isinstance(result, Result)
            found.append(result.evaluation.correct)
        return found

    def by_full_evaluations(number: int) -> list[int]:
        return [
            evaluate_fully(pruner.prune(spec).network, test_images, labels).correct
            for spec in specs(number)
        ]

    def check(results: dict[str, list[int]]) -> None:
        assert results["scan"] == results["full evaluations"]

    timings = alternate(
        {"scan": by_scan, "full evaluations": by_full_evaluations}, len(layers), check=check
    )
    value = sum(timings["full evaluations"]) / sum(timings["scan"])
    points = len(layers) * len(SCAN_RATIOS)
    return Measured(value, timings, f"{points} points on {SCANNED_IMAGES:,} images")


def binning(repeats: int) -> Measured:
    """Measure the milliseconds to compute the histogram of the largest layer."""
    model = network()[0]
    sizes = {name: layer.weight.numel() for name, layer in prunable_layers(model.module).items()}
    largest = max(sizes, key=sizes.__getitem__)
    close_up = CloseUp.of(Pruner(model), PruningSpec("fine", 0.5), largest)

    def bin_weights(_: int) -> None:
        histogram(close_up)

    timings = alternate({"histogram": bin_weights}, repeats)
    note = f"{sizes[largest]:,} weights"
    return Measured(1000 * median(timings["histogram"]), timings, note)
