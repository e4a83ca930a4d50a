"""Sentences generated from the numbers, which claim no more than the tests support."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.formatting import decimal, percent, percent_within
from core.measuring.outcome import Evaluation
from core.measuring.statistics import (
    is_better_than_guessing,
    is_no_better_than_guessing,
    mcnemar,
)
from core.specs.vocabulary import RECOVERIES


@dataclass(frozen=True, eq=False)
class Side:
    """One method at the current ratio; all evaluations are on the same images."""

    doing: str  # such as "removing channels"
    ratio: float
    pruned: Evaluation | None
    recovered: Mapping[str, Evaluation]  # by recovery, of RECOVERIES
    baseline: Evaluation
    classes: int  # of the data set


def accuracy_in_words(evaluation: Evaluation) -> str:
    """Format an accuracy with half the width of its interval, such as 20.5% ± 0.8."""
    return percent_within(evaluation.accuracy, *evaluation.interval)


def describe(sides: list[Side]) -> str:
    """Describe each side in a sentence; return "" if there are no sides."""
    return " ".join(_describe(side) for side in sides)


def _describe(side: Side) -> str:
    recovered = dict(side.recovered)
    how, known = "", side.pruned
    if known is None:
        name, known = next(iter(recovered.items()))
        how = RECOVERIES[name].phrase
        del recovered[name]
    if side.ratio == 0:
        start, against = f"At 0.00 nothing is pruned: {accuracy_in_words(side.baseline)}", ""
    else:
        after = f" {how}" if how else ""
        start = f"At {side.ratio:.2f}, {side.doing} leaves {accuracy_in_words(known)}{after}"
        against = _against_baseline(known, side.baseline, side.classes)
    said = [_recovered(known, RECOVERIES[name].label, each) for name, each in recovered.items()]
    return f"{'; '.join([start + against, *said])}."


def _against_baseline(pruned: Evaluation, baseline: Evaluation, classes: int) -> str:
    counts = (pruned.correct, pruned.seen, classes)
    if is_no_better_than_guessing(*counts):
        return ", no better than guessing"
    if not is_better_than_guessing(*counts):
        return ", not significantly different from guessing"
    if not mcnemar(baseline.is_right, pruned.is_right).significant:
        return f" (no clear change from the unpruned {percent(baseline.accuracy)})"
    return ""


def _recovered(pruned: Evaluation, label: str, recovered: Evaluation) -> str:
    text = f"{label}: {accuracy_in_words(recovered)}"
    if mcnemar(pruned.is_right, recovered.is_right).significant:
        return text
    return f"{text}, no clear change"


def describe_choice(chosen_on: int, judged: Mapping[str, Evaluation]) -> str:
    """Describe the accuracy of chosen settings on the images they were not chosen on."""
    kept = ", ".join(f"{method} {accuracy_in_words(each)}" for method, each in judged.items())
    seen = min(each.seen for each in judged.values())
    return f"This preset was chosen on {chosen_on:,} test images. On the other {seen:,}: {kept}."


def describe_contest(
    chosen: str, choosing: Mapping[str, Evaluation], judging: Mapping[str, Evaluation]
) -> str:
    """Describe how `chosen` compares with its strongest rival; both mappings hold all contenders.

    The rival is the best other contender in `choosing`, and only the comparison uses `judging`:
    picking the best of several on the images that judge would overestimate it.
    """
    mine = judging[chosen]
    rivals = [name for name in choosing if name != chosen]
    if not rivals:
        return (
            f"Ratios {chosen} keep {accuracy_in_words(mine)}; no other allocation meets the budget."
        )
    name = max(rivals, key=lambda each: choosing[each].correct)
    rival = judging[name]
    start = (
        f"Ratios {chosen} keep {accuracy_in_words(mine)}, {name} ones {accuracy_in_words(rival)}"
    )
    if not mcnemar(rival.is_right, mine.is_right).significant:
        return f"{start}: no significant difference."
    points = 100 * (mine.accuracy - rival.accuracy)
    if points > 0:
        return f"{start}: {decimal(points)} points better."
    return f"{start}: {decimal(-points)} points worse."
