"""A result together with the baseline result to compare it with."""

from dataclasses import dataclass
from functools import cached_property

from core.measuring.statistics import PairedTest, mcnemar
from core.results import Result


@dataclass(frozen=True, eq=False)
class Reading:
    """The result of one point, and the baseline result to compare it with."""

    result: Result
    reference: Result | None  # the unpruned baseline on the same images, in the same precision
    is_live: bool = False  # measured now, not read from the store
    is_nearest: bool = False  # at the nearest measured ratio instead of the requested one

    @cached_property
    def test(self) -> PairedTest | None:
        """Paired test of the pruned network against the baseline; None without a reference."""
        if self.reference is None:
            return None
        return mcnemar(self.reference.evaluation.is_right, self.result.evaluation.is_right)


def can_be_paired(one: Result, other: Result) -> bool:
    """Return whether two results are on the same images and in the same precision."""
    return all(
        getattr(one.key, name) == getattr(other.key, name)
        for name in ("data", "subset", "subset_seed", "precision")
    )
