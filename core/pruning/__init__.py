"""Pruning: a baseline and a PruningSpec in, a new network and a per-layer report out."""

from core.pruning.matching import ratio_that_removes
from core.pruning.pruner import Pruner, prune
from core.pruning.report import LayerReport, Pruned
from core.pruning.spec import (
    ALLOCATIONS,
    ALLOCATIONS_OF,
    CRITERIA,
    CRITERIA_OF,
    METHODS,
    SCOPES,
    PruningSpec,
)

__all__ = [
    "ALLOCATIONS",
    "ALLOCATIONS_OF",
    "CRITERIA",
    "CRITERIA_OF",
    "METHODS",
    "SCOPES",
    "LayerReport",
    "Pruned",
    "Pruner",
    "PruningSpec",
    "prune",
    "ratio_that_removes",
]
