"""Every way of pruning that there is."""

from itertools import product

from core.specs.vocabulary import ALLOCATIONS, CRITERIA, METHODS, SCOPES

COMBINATIONS = [
    (method, criterion, allocation, scope)
    for method, criterion, allocation, scope in product(METHODS, CRITERIA, ALLOCATIONS, SCOPES)
    if (method, criterion) != ("fine", "bn")
    and (method == "fine" or allocation in ("uniform", "global"))
]
