"""Grids of valid combinations of settings."""

from collections.abc import Sequence
from itertools import product

from core.specs.point import Point
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import ALLOCATIONS, CRITERIA, DATA_FREE_RECOVERIES, METHODS, NO_RECOVERY


def grid(
    methods: Sequence[str],
    ratios: Sequence[float],
    criteria: Sequence[str] = ("l1",),
    allocations: Sequence[str] = ("uniform",),
    scopes: Sequence[str] = ("all",),
    recoveries: Sequence[str] = (NO_RECOVERY,),
    seed: int = 0,
    floor: float = 0.0,
    ceiling: float = 1.0,
    round_to: int = 1,
    rests: Sequence[float] = (0.0,),
    rest_allocation: str = "global",
) -> list[Point]:
    """Return all valid combinations as distinct points, one curve after the other.

    `rests` are the ratios of the weights left, for `hybrid`. Settings that a method ignores have
    their default; criteria, allocations and recoveries that it does not support are skipped. The
    recoveries of one spec are adjacent, so they can share the pruned network. Raises InputError for
    unknown names or invalid ratios.
    """
    points: dict[Point, None] = {}
    for method, criterion, allocation, scope in product(methods, criteria, allocations, scopes):
        words_exist = method in METHODS and criterion in CRITERIA and allocation in ALLOCATIONS
        if words_exist and not (
            criterion in METHODS[method].criteria and allocation in METHODS[method].allocations
        ):
            continue
        for ratio, rest in product(ratios, rests):
            spec = PruningSpec(
                method,
                ratio,
                criterion,
                allocation,
                scope,
                seed,
                floor=floor,
                ceiling=ceiling,
                round_to=round_to,
                rest_ratio=rest,
                rest_allocation=rest_allocation,
            ).canonical()
            for recovery in recoveries:
                if recovery in DATA_FREE_RECOVERIES and not METHODS[method].prunes_groups:
                    continue
                points[Point(spec, Recovery.named(recovery))] = None
    return list(points)
