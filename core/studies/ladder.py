"""What brings the accuracy back: the rungs from as pruned to trained on many images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.measuring.statistics import mcnemar
from core.results import Result
from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import MERGED, NOTHING, RECALIBRATED, RECONSTRUCTED, Recovery
from core.sweeps.reading import can_be_paired

UNTRAINED = (NOTHING, MERGED, RECALIBRATED, RECONSTRUCTED)
FROM_RECONSTRUCTION, FROM_RECALIBRATION, GRADUALLY = (
    "from reconstruction",
    "from recalibration",
    "pruned gradually",
)
WAYS = (FROM_RECONSTRUCTION, FROM_RECALIBRATION, GRADUALLY)
"""The ways to train a network that is as sparse in the end."""
PRUNINGS = 8  # of gradual pruning
SMALLEST = 500  # images
LARGEST_PASSES = 3
USUAL_SIZES = (2000, 10_000, 50_000)
"""Numbers of images to train on, one rung after the other."""


@dataclass(frozen=True)
class Rung:
    """A recovery on the ladder; `way` is one of WAYS, or empty for one that does not train."""

    recovery: Recovery
    way: str = ""

    @property
    def images(self) -> int:
        """Images trained on."""
        return self.recovery.images if self.recovery.trains else 0


def trained(images: int, way: str) -> Rung:
    """Return the rung of fine-tuning on so many images in one of WAYS."""
    if way == GRADUALLY:
        return Rung(Recovery("finetune", images, prunings=PRUNINGS), way)
    start = RECONSTRUCTED if way == FROM_RECONSTRUCTION else RECALIBRATED
    return Rung(Recovery("finetune", images, start=start.method), way)


def sizes(training_images: int) -> list[int]:
    """Return the numbers of images offered: 500, 1,000, 2,000, 5,000 …, then up to three passes."""
    series = [step * 10**power for power in range(2, 8) for step in (1, 2, 5)]
    passes = [number * training_images for number in range(1, LARGEST_PASSES + 1)]
    return [*(each for each in series if SMALLEST <= each < training_images), *passes]


def rungs(training_images: int) -> list[Rung]:
    """Return all rungs: first those without training, then each of WAYS."""
    untrained = [Rung(recovery) for recovery in UNTRAINED]
    return untrained + [trained(size, way) for way in WAYS for size in sizes(training_images)]


def ladder_points(specs: Iterable[PruningSpec], of: Sequence[Rung]) -> list[Point]:
    """Return the points of the rungs for each spec."""
    return [Point(spec, rung.recovery) for spec in specs for rung in of]


def next_size(known: Iterable[Rung], way: str, training_images: int) -> int:
    """Return the first usual number of images that was not trained on in this way, or the last.

    Usual are those of USUAL_SIZES below one pass, then one pass and all of them.
    """
    done = {rung.images for rung in known if rung.way == way}
    usual = [size for size in USUAL_SIZES if size < training_images]
    usual += [training_images, LARGEST_PASSES * training_images]
    return next((size for size in usual if size not in done), usual[-1])


def worth_of_reconstruction(found: Mapping[Rung, Result]) -> int:
    """Return the number of images up to which training brings no more than reconstruction.

    It is that of training from recalibration, and the largest one before the first that is
    significantly better, on the same test images. Return 0 if there is none, or if reconstruction
    is no better than recalibration.
    """
    reconstructed = found.get(Rung(RECONSTRUCTED))
    recalibrated = found.get(Rung(RECALIBRATED))
    if reconstructed is None or recalibrated is None:
        return 0
    if not is_better(reconstructed, recalibrated):
        return 0
    worth = 0
    trained_on = [rung for rung in found if rung.way == FROM_RECALIBRATION]
    for rung in sorted(trained_on, key=lambda rung: rung.images):
        if not can_be_paired(found[rung], reconstructed) or is_better(found[rung], reconstructed):
            break
        worth = rung.images
    return worth


def is_better(one: Result, other: Result) -> bool:
    """Return whether the first is significantly better; False where they cannot be compared."""
    if not can_be_paired(one, other):
        return False
    test = mcnemar(other.evaluation.is_right, one.evaluation.is_right)
    return test.significant and one.evaluation.correct > other.evaluation.correct
