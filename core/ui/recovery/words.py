"""What the rungs of one method say, in words."""

from collections.abc import Mapping

from core.formatting import decimal, listed
from core.measuring.statistics import mcnemar
from core.results import Result
from core.specs.vocabulary import ALL_RECOVERIES
from core.studies.ladder import FROM_RECALIBRATION, Rung, worth_of_reconstruction
from core.studies.ladder import trained as studied
from core.sweeps.reading import can_be_paired
from core.ui.parts.progress import duration
from core.ui.parts.sentences import accuracy_in_words

Climbed = Mapping[Rung, Result]


def describe(name: str, ratio: float, found: Climbed, baseline: Result | None) -> list[str]:
    """Describe the rungs of one method, and how near the best one comes to the baseline."""
    if not found:
        return []
    steps = [
        f"{accuracy_in_words(result.evaluation)} {ALL_RECOVERIES[rung.recovery.method].phrase}"
        + (_in(result) if rung.recovery.needs_images else "")
        for rung, result in found.items()
        if not rung.images
    ]
    trained = {rung: result for rung, result in found.items() if rung.images}
    if trained:
        best = max(trained, key=lambda rung: trained[rung].evaluation.correct)
        steps.append(
            f"{accuracy_in_words(trained[best].evaluation)} after training on {best.images:,} "
            f"images{_in(trained[best])}"
        )
    sentences = [f"{name} at {ratio:.2f}: {listed(steps)}."]
    if trained and baseline is not None:
        sentences += _against(baseline, trained[best])
    if worth := worth_of_reconstruction(found):
        rival = found[studied(worth, FROM_RECALIBRATION)]
        sentences.append(
            f"Training on {worth:,} images without reconstruction is not clearly better than "
            f"reconstruction alone ({accuracy_in_words(rival.evaluation)}{_in(rival)})."
        )
    return [" ".join(sentences)]


def _against(baseline: Result, best: Result) -> list[str]:
    """Say how far the best rung is from the unpruned network."""
    if not can_be_paired(baseline, best):
        return []
    if not mcnemar(baseline.evaluation.is_right, best.evaluation.is_right).significant:
        return ["That can't be told apart from the unpruned network."]
    points = 100 * (best.evaluation.accuracy - baseline.evaluation.accuracy)
    side = "below" if points < 0 else "above"
    return [f"That is {decimal(abs(points))} points {side} the unpruned network."]


def _in(result: Result) -> str:
    seconds = result.origin.recovery_seconds
    return "" if seconds is None else f" in {duration(seconds)}"
