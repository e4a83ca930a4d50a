"""Every way of pruning that there is."""

from itertools import product

from core.specs.vocabulary import ALLOCATIONS, CRITERIA, METHODS, SCOPES

ANY = {"l1", "l2", "random"}
SCORED = {
    "fine": ANY | {"wanda", "second-order"},
    "channel": ANY | {"bn", "fpgm", "first", "next-l2", "taylor", "second-order"},
    "channel-mask": ANY | {"bn", "fpgm", "first"},
    "hybrid": ANY | {"bn", "fpgm", "first", "next-l2", "taylor", "second-order"},
}
SHARED = {
    "fine": {"uniform", "global", "lamp", "erk"},
    "channel": {"uniform", "global", "isomorphic"},
    "channel-mask": {"uniform", "global", "isomorphic"},  # where they mean nothing
    "hybrid": {"uniform", "global", "isomorphic"},
}
COMBINATIONS = [
    (method, criterion, allocation, scope)
    for method, criterion, allocation, scope in product(METHODS, CRITERIA, ALLOCATIONS, SCOPES)
    if criterion in SCORED[method] and allocation in SHARED[method]
]
