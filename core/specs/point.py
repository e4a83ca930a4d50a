"""A point to measure."""

from dataclasses import dataclass

from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

UNPRUNED = PruningSpec("fine", 0.0)
"""The canonical spec of the unpruned network: at ratio 0 all methods are the identity."""


@dataclass(frozen=True)
class Point:
    """A pruning and the recovery after it."""

    spec: PruningSpec
    recovery: Recovery
