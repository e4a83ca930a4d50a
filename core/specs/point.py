"""One thing to measure."""

from dataclasses import dataclass

from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery

UNPRUNED = PruningSpec("fine", 0.0)
"""At ratio 0 every method is the identity, and all of them are this one."""


@dataclass(frozen=True)
class Point:
    """One pruning, and what is done after it."""

    spec: PruningSpec
    recovery: Recovery
