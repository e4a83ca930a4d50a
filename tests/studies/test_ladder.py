"""The ladder: its rungs in order, and what reconstruction is worth in images of training."""

from dataclasses import replace

import pytest

from core.results import Result
from core.specs.pruning import PruningSpec
from core.specs.recovery import RECALIBRATED, RECONSTRUCTED, Recovery
from core.studies.ladder import (
    FROM_RECALIBRATION,
    FROM_RECONSTRUCTION,
    GRADUALLY,
    UNTRAINED,
    WAYS,
    Rung,
    is_better,
    ladder_points,
    next_size,
    rungs,
    sizes,
    trained,
    worth_of_reconstruction,
)
from tests.results.conftest import WHOLE, key_of, result_of


def right_on(
    share: float, recovery: Recovery, seconds: float | None = None, precision: str = "fp32"
) -> Result:
    """A result that is right on the first images."""
    key = replace(key_of("channel", 0.5, recovery=recovery), precision=precision)
    result = result_of(key)
    predictions = result.labels.copy()
    wrong = slice(round(share * WHOLE), WHOLE)
    predictions[wrong] = (predictions[wrong] + 1) % 10
    origin = replace(result.origin, recovery_seconds=seconds)
    return replace(result, predictions=predictions, origin=origin)


def climbed(shares: dict[Rung, float]) -> dict[Rung, Result]:
    return {rung: right_on(share, rung.recovery, 2.0) for rung, share in shares.items()}


UNTRAINED_SHARES = dict(zip(map(Rung, UNTRAINED), (0.1, 0.3, 0.6, 0.8), strict=True))


def test_sizes_double_or_so_and_then_are_whole_passes() -> None:
    some = [500, 1000, 2000, 5000, 10_000, 20_000]
    assert sizes(50_000) == [*some, 50_000, 100_000, 150_000]
    assert sizes(1000) == [500, 1000, 2000, 3000]
    assert sizes(20) == [20, 40, 60]


def test_rungs_without_training_come_first() -> None:
    found = rungs(50_000)
    assert [rung.recovery for rung in found[:4]] == list(UNTRAINED)
    assert [rung.images for rung in found[:4]] == [0, 0, 0, 0]
    assert len(set(found)) == len(found) == 4 + len(WAYS) * len(sizes(50_000))
    assert trained(500, FROM_RECONSTRUCTION).recovery.start == "reconstruct"
    assert trained(500, FROM_RECALIBRATION).recovery.start == "bn"
    assert trained(500, GRADUALLY).recovery.is_gradual
    specs = [PruningSpec("fine", 0.9), PruningSpec("channel", 0.5)]
    assert len(set(ladder_points(specs, found))) == 2 * len(found)


def test_the_next_size_is_the_first_that_is_missing() -> None:
    done = [trained(2000, FROM_RECONSTRUCTION), trained(50_000, FROM_RECONSTRUCTION)]
    assert next_size([], FROM_RECONSTRUCTION, 50_000) == 2000
    assert next_size(done, FROM_RECONSTRUCTION, 50_000) == 10_000
    assert next_size(done, GRADUALLY, 50_000) == 2000
    done.append(trained(10_000, FROM_RECONSTRUCTION))
    assert next_size(done, FROM_RECONSTRUCTION, 50_000) == 150_000
    assert next_size([], GRADUALLY, 800) == 800
    assert next_size([trained(800, GRADUALLY)], GRADUALLY, 800) == 2400


@pytest.mark.parametrize(
    ("accuracies", "worth"),
    [
        ({}, 0),
        ({2000: 0.7}, 2000),
        ({2000: 0.7, 10_000: 0.8, 50_000: 0.9}, 10_000),
        ({2000: 0.9, 10_000: 0.7}, 0),
    ],
)
def test_reconstruction_is_worth_the_training_that_is_no_better(
    accuracies: dict[int, float], worth: int
) -> None:
    tuned = {trained(size, FROM_RECALIBRATION): each for size, each in accuracies.items()}
    assert worth_of_reconstruction(climbed(UNTRAINED_SHARES | tuned)) == worth


def test_training_after_reconstruction_says_nothing_of_its_worth() -> None:
    tuned = {trained(2000, FROM_RECONSTRUCTION): 0.7, trained(2000, GRADUALLY): 0.7}
    assert worth_of_reconstruction(climbed(UNTRAINED_SHARES | tuned)) == 0


def test_reconstruction_that_helps_nothing_is_worth_nothing() -> None:
    shares = {**UNTRAINED_SHARES, Rung(RECONSTRUCTED): 0.6, trained(500, FROM_RECALIBRATION): 0.5}
    assert worth_of_reconstruction(climbed(shares)) == 0


def test_what_cannot_be_paired_is_not_better() -> None:
    one, other = right_on(0.9, RECALIBRATED), right_on(0.1, RECONSTRUCTED)
    assert is_better(one, other)
    assert not is_better(other, one)
    assert not is_better(one, one)
    assert not is_better(one, right_on(0.1, RECONSTRUCTED, precision="bf16"))
