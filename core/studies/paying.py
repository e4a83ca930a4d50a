"""Who pays for a pruning, in words that claim no more than the tests support."""

from collections.abc import Sequence

from core.formatting import change, listed
from core.measuring.flips import DRAWS, ClassChange, Spread
from core.measuring.statistics import PairedTest

MOST_NAMED = 3  # classes in a sentence


def flips_in_words(test: PairedTest) -> str:
    """Say how many images were lost and won, and whether that is more than chance."""
    counts = f"lost {test.lost:,}, won {test.gained:,}"
    if not test.significant:
        return f"{counts}: can't be told apart"
    return f"{counts}: a real {'loss' if test.lost > test.gained else 'gain'}"


def classes_in_words(changes: Sequence[ClassChange], found: Spread, names: Sequence[str]) -> str:
    """Say whether a few classes pay, and which."""
    if not any(each.lost or each.gained for each in changes):
        return "No image changed sides."
    chance = f"p {'<' if found.p_value < 2 / DRAWS else '='} {max(found.p_value, 1 / DRAWS):.2g}"
    if found.is_even:
        return f"All classes fared alike, as far as these images tell ({chance})."
    by_label = {each.label: each for each in changes}

    def named(labels: Sequence[int]) -> str:
        said = [
            f"{names[label]} ({change(100 * by_label[label].change)} points)"
            for label in labels[:MOST_NAMED]
        ]
        more = len(labels) - len(said)
        return listed([*said, f"{more} more"] if more > 0 else said)

    text = f"The change is not spread evenly over the classes ({chance})."
    for how, labels in (("Worse", found.worse), ("Better", found.better)):
        if labels:
            text += f" {how} than the average: {named(labels)}."
    return text
