"""The words above the chart say what the numbers say, and no more."""

from dataclasses import replace

import numpy as np
import pytest

from core.measuring.outcome import Evaluation
from core.measuring.statistics import wilson_interval
from core.ui.parts.sentences import (
    Side,
    accuracy_in_words,
    describe,
    describe_choice,
    describe_contest,
)

AGAIN = "bn"
LABELS = np.tile(np.arange(10), 100)


def evaluation(correct: int, first_wrong: int = 0) -> Evaluation:
    """So many of 1,000 images right; the wrong ones begin at `first_wrong`, in a circle."""
    predictions = LABELS.copy()
    wrong = (first_wrong + np.arange(1000 - correct)) % 1000
    predictions[wrong] = (predictions[wrong] + 1) % 10
    return Evaluation(1000, predictions, LABELS, 0.0)


def side(pruned: int, recalibrated: int | None, baseline: int = 900, ratio: float = 0.3) -> Side:
    again = {} if recalibrated is None else {AGAIN: evaluation(recalibrated)}
    return Side("removing channels", ratio, evaluation(pruned), again, evaluation(baseline), 10)


@pytest.mark.parametrize("correct", [0, 100, 205, 727, 999, 1000])
def test_a_percentage_has_half_its_interval_beside_it(correct: int) -> None:
    low, high = wilson_interval(correct, 1000)
    accuracy, half = accuracy_in_words(evaluation(correct)).split("% ± ")
    assert float(accuracy) == correct / 10
    assert float(half) == pytest.approx(50 * (high - low), abs=0.051)


def test_a_loss_and_its_recovery_are_told() -> None:
    words = describe([side(205, 727)])
    assert words.startswith("At 0.30, removing channels leaves 20.5% ± 2.5")
    assert "BN recalibrated: 72.7% ± 2.8" in words
    assert "no clear change" not in words
    assert "guessing" not in words
    assert words.endswith(".")


def test_what_the_images_cannot_tell_apart_is_said_to_be_so() -> None:
    words = describe([side(899, 898)])
    assert words.count("no clear change") == 2
    assert "unpruned 90.0%" in words


def test_the_test_is_paired_so_many_flips_of_equal_number_are_no_difference() -> None:
    same_accuracy = Side(
        "removing channels", 0.3, evaluation(900, 100), {}, evaluation(900, first_wrong=0), 10
    )
    assert "no clear change" in describe([same_accuracy])


def test_a_small_but_one_sided_difference_is_told_apart() -> None:
    assert "no clear change" not in describe([side(880, None)])  # 20 lost, none gained


@pytest.mark.parametrize(
    ("correct", "classes", "words"),
    [
        (100, 10, ", not significantly different from guessing;"),
        (115, 10, ", not significantly different from guessing;"),
        (130, 10, "± 2.1;"),
        (60, 10, ", no better than guessing;"),
        (115, 100, "± 2.0;"),
        (5, 100, ", no better than guessing;"),
        (500, 2, ", not significantly different from guessing;"),
    ],
)
def test_guessing_is_named_as_far_as_it_is_tested(correct: int, classes: int, words: str) -> None:
    told = describe([replace(side(correct, 600), classes=classes)])
    assert words in told
    assert told.count("guessing") == words.count("guessing")


def test_many_images_at_chance_are_no_better_than_guessing() -> None:
    labels = np.tile(np.arange(10), 1000)
    constant = Evaluation(10_000, np.zeros_like(labels), labels, 0.0)
    told = describe([Side("removing channels", 0.9, constant, {}, constant, 10)])
    assert "10.0% ± 0.6, no better than guessing." in told


def test_without_a_recalibrated_network_none_is_mentioned() -> None:
    assert "batch-norm" not in describe([side(300, None)])


def test_where_the_recalibrated_network_alone_is_known_it_is_told() -> None:
    alone = Side("removing channels", 0.3, None, {AGAIN: evaluation(727)}, evaluation(900), 10)
    assert describe([alone]) == (
        "At 0.30, removing channels leaves 72.7% ± 2.8 after recalibrating batch-norm."
    )
    alone = Side("removing channels", 0.3, None, {AGAIN: evaluation(899)}, evaluation(900), 10)
    assert "no clear change from the unpruned 90.0%" in describe([alone])


def test_every_recovery_is_told_and_compared_with_the_pruned_network() -> None:
    evaluations = {AGAIN: evaluation(640), "reconstruct": evaluation(105)}
    both = Side("removing channels", 0.5, evaluation(105), evaluations, evaluation(900), 10)
    assert describe([both]).endswith(
        "; BN recalibrated: 64.0% ± 3.0; reconstructed: 10.5% ± 1.9, no clear change."
    )


def test_at_ratio_0_nothing_is_pruned() -> None:
    words = "At 0.00 nothing is pruned: 90.0% ± 1.9"
    assert describe([side(900, None, ratio=0.0)]) == f"{words}."
    again = "BN recalibrated: 90.0% ± 1.9, no clear change"
    assert describe([side(900, 900, ratio=0.0)]) == f"{words}; {again}."


def test_both_sides_are_told_in_turn_and_nothing_where_nothing_is_known() -> None:
    words = describe([side(300, 800), side(880, None, ratio=0.5)])
    assert words.index("At 0.30") < words.index("At 0.50")
    assert describe([]) == ""


def test_a_contest_is_won_lost_or_undecided() -> None:
    def words(mine: int, **others: int) -> str:
        found = {"by sensitivity": evaluation(mine)}
        found |= {name: evaluation(correct) for name, correct in others.items()}
        return describe_contest("by sensitivity", found, found)

    assert "90.0% ± 1.9, global ones 80.0" in words(900, uniform=700, global_=800).replace(
        "global_", "global"
    )
    assert "10.0 points better" in words(900, uniform=700, other=800)
    assert "5.0 points worse" in words(850, uniform=900)
    assert "no significant difference" in words(900, uniform=899)
    assert "no other allocation" in words(900)


def test_the_rival_is_chosen_on_the_images_that_chose_and_judged_on_the_others() -> None:
    choosing = {"by sensitivity": 850, "uniform": 800, "global": 820}
    judging = {"by sensitivity": 850, "uniform": 900, "global": 700}
    words = describe_contest(
        "by sensitivity",
        {name: evaluation(correct) for name, correct in choosing.items()},
        {name: evaluation(correct) for name, correct in judging.items()},
    )
    assert "global ones 70.0%" in words
    assert "15.0 points better" in words


def test_what_was_chosen_on_some_images_is_judged_on_the_others() -> None:
    words = describe_choice(2000, {"fine": evaluation(915), "channel": evaluation(880)})
    assert words == (
        "This preset was chosen on 2,000 test images. On the other 1,000: "
        "fine 91.5% ± 1.7, channel 88.0% ± 2.0."
    )
