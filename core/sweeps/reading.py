"""The answer to one question, and what it is compared with."""

from dataclasses import dataclass
from functools import cached_property

from core.measuring.statistics import PairedTest, mcnemar
from core.results import Result


@dataclass(frozen=True, eq=False)
class Reading:
    """The answer to one question: a result, and what it is compared with."""

    result: Result
    reference: Result | None  # the unpruned baseline on the same images, in the same precision
    is_live: bool = False  # measured for this question
    is_nearest: bool = False  # at the nearest ratio that was measured, not at the one asked for

    @cached_property
    def test(self) -> PairedTest | None:
        """Whether the pruned network differs from the baseline; None where nothing pairs."""
        if self.reference is None:
            return None
        return mcnemar(self.reference.evaluation.is_right, self.result.evaluation.is_right)


def can_be_paired(one: Result, other: Result) -> bool:
    """Whether a paired test can compare the two: the same images, in the same precision."""
    return all(
        getattr(one.key, name) == getattr(other.key, name)
        for name in ("data", "subset", "subset_seed", "precision")
    )
