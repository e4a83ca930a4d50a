"""The points of the results that are shipped with the repository."""

from core.baselines.shelf import DEFAULTS
from core.specs.grid import grid
from core.specs.point import Point

FULL = DEFAULTS["cifar10"]
"""The default baseline of the app."""

FIVE_EPOCHS = "resnet18-cifar10-5ep"
"""The baseline of the original study, trained for as few epochs."""

OTHER_NETWORKS = ("vgg16-cifar10-5ep", "resnet56-cifar10-10ep", "resnet50-cifar10-3ep")
"""Baselines of other architectures, to compare with."""

IMAGES_OF_OTHERS = 2000
"""Test images that their curves are measured on; the others' are on the whole test set."""

EVERY_HUNDREDTH = tuple(step / 100 for step in range(96))
EVERY_TWENTIETH = EVERY_HUNDREDTH[::5]
BOTH = ("none", "bn")


def shipped_points(name: str) -> list[Point]:
    """Return the points of the baseline with this file stem; the default curves come first."""
    default_ratios = EVERY_HUNDREDTH if name == FULL else EVERY_TWENTIETH
    points = [
        *grid(["fine", "channel"], EVERY_TWENTIETH, recoveries=BOTH),
        *grid(["fine", "channel"], default_ratios, recoveries=BOTH),
    ]
    if name == FULL:
        points += grid(["fine", "channel"], EVERY_TWENTIETH, recoveries=["reconstruct"])
    points += [
        *grid(["channel"], EVERY_TWENTIETH, scopes=["internal"], recoveries=BOTH),
        *grid(["fine"], EVERY_TWENTIETH, allocations=["global"], recoveries=BOTH),
    ]
    if name == FULL:
        points += grid(
            ["channel"], EVERY_TWENTIETH, scopes=["internal"], recoveries=["reconstruct"]
        )
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
