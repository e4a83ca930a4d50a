"""What the results that come with the repository are of."""

from core.baselines.shelf import DEFAULTS
from core.specs.grid import grid
from core.specs.point import Point
from core.specs.vocabulary import RECOVERIES

FULL = DEFAULTS["cifar10"]
"""The baseline that the app opens with."""

FIVE_EPOCHS = "resnet18-cifar10-5ep"
"""The baseline of the study, trained as short as there."""

EVERY_HUNDREDTH = tuple(step / 100 for step in range(96))
EVERY_TWENTIETH = EVERY_HUNDREDTH[::5]
BOTH = tuple(RECOVERIES)


def shipped_points(name: str) -> list[Point]:
    """The grid of a baseline by its file's stem, the curves that are seen first coming first."""
    default_ratios = EVERY_HUNDREDTH if name == FULL else EVERY_TWENTIETH
    points = [
        *grid(["fine", "channel"], EVERY_TWENTIETH, recoveries=BOTH),
        *grid(["fine", "channel"], default_ratios, recoveries=BOTH),
        *grid(["channel"], EVERY_TWENTIETH, scopes=["internal"], recoveries=BOTH),
        *grid(["fine"], EVERY_TWENTIETH, allocations=["global"], recoveries=BOTH),
    ]
    if name == FULL:
        points += grid(
            ["channel"],
            EVERY_TWENTIETH,
            criteria=["bn"],
            allocations=["global"],
            scopes=["internal"],
            recoveries=BOTH,
        )
    if name == FIVE_EPOCHS:
        points += grid(["channel-mask"], EVERY_TWENTIETH, recoveries=BOTH)
    return list(dict.fromkeys(points))
