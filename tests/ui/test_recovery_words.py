"""The words above the ladder say what its rungs say."""

from core.specs.recovery import Recovery
from core.studies.ladder import FROM_RECALIBRATION, GRADUALLY, trained
from core.ui.recovery.words import describe
from tests.studies.test_ladder import UNTRAINED_SHARES, climbed, right_on


def test_the_words_say_what_was_measured() -> None:
    tuned = {trained(2000, FROM_RECALIBRATION): 0.75, trained(10_000, FROM_RECALIBRATION): 0.89}
    baseline = right_on(0.92, Recovery())
    (said,) = describe("Channels", 0.5, climbed(UNTRAINED_SHARES | tuned), baseline)
    assert said.startswith("Channels at 0.50: 10.0%")
    assert "89.0%" in said
    assert "after training on 10,000 images in 2.0 s." in said
    assert "in 2.0 s. That is 3.0 points below the unpruned network. Training on 2,000" in said
    assert "images without reconstruction is not clearly better than reconstruction alone" in said
    alike = climbed({**UNTRAINED_SHARES, trained(500, GRADUALLY): 0.92})
    (said,) = describe("Channels", 0.5, alike, baseline)
    assert said.endswith("That can't be told apart from the unpruned network.")
    assert describe("Channels", 0.5, {}, baseline) == []
