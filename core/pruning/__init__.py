"""Pruning: a baseline and a PruningSpec in, a new network and a per-layer report out."""

from core.pruning.matching import ratio_that_removes
from core.pruning.pruner import Pruner, prune
from core.pruning.report import LayerReport, Pruned

__all__ = ["LayerReport", "Pruned", "Pruner", "prune", "ratio_that_removes"]
