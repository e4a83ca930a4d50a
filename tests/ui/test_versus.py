"""What is said of two baselines: no more than their networks on the same images support."""

from collections.abc import Sequence

import numpy as np
import pytest

from core.measuring.outcome import Cost
from core.results import Key, Result
from core.results.result import Origin
from core.specs.pruning import PruningSpec
from core.specs.recovery import BY_LABEL
from core.specs.vocabulary import GRANULARITIES
from core.ui.compare.versus import Found, frame_of, missing_curves, on_same_images, verdict

FINE, CHANNELS = GRANULARITIES
RAW, BN, *_ = BY_LABEL
IMAGES = 1000
NAMES = ("big", "small")


def found(
    baseline: str,
    parameters: int,
    right: int,
    ratio: float = 0.0,
    method: str = CHANNELS,
    recovery: str = RAW,
    data: str = "images",
    precision: str = "fp32",
) -> Found:
    """A network of so many parameters that is right on the first so many images."""
    labels = np.zeros(IMAGES, dtype=np.uint8)
    predictions = (np.arange(IMAGES) >= right).astype(np.uint8)
    kind = "fine" if method == FINE else "channel"
    spec = PruningSpec(kind, ratio)
    key = Key(baseline, spec, BY_LABEL[recovery], data, IMAGES, 0, precision)
    cost = Cost(parameters, parameters, 1000 * parameters, 1000.0 * parameters, 2 * parameters)
    origin = Origin("cpu", "torch", 1.0, "2026-01-01")
    result = Result(key, predictions, labels, 1.0, cost, None, origin)
    return Found(baseline, method, recovery, ratio, result)


def whole(baseline: str, parameters: int, right: int) -> list[Found]:
    """The unpruned network, which is on every curve."""
    return [found(baseline, parameters, right, method=method) for method in GRANULARITIES]


SMALL = whole("small", 1_000_000, 800)
BIG = whole("big", 4_000_000, 900)


@pytest.mark.parametrize(
    ("pruned", "words"),
    [
        (  # better although it is smaller, and the one above plays no part
            [(1_300_000, 880, 0.4), (900_000, 850, 0.5)],
            "big after removing channels is better, with 85.0% ± 2.2 at 900 k",
        ),
        (  # worse although it is larger
            [(1_300_000, 700, 0.4), (900_000, 100, 0.5)],
            "big after removing channels is worse, with 70.0% ± 2.8 at 1.30 M",
        ),
        ([(1_300_000, 880, 0.4), (900_000, 700, 0.5)], "removing channels cannot be told apart"),
        ([(1_300_000, 803, 0.4), (900_000, 798, 0.5)], "removing channels cannot be told apart"),
        ([(1_005_000, 850, 0.5)], "is better, with 85.0% ± 2.2 at 1.00 M"),  # of the same size
        ([(1_300_000, 700, 0.4)], "removing channels was not measured at that size"),
    ],
)
def test_the_better_one_at_equal_parameters_is_named_where_it_can_be_told(
    pruned: Sequence[tuple[int, int, float]], words: str
) -> None:
    points = [found("big", size, right, ratio) for size, right, ratio in pruned]
    said = verdict([*BIG, *SMALL, *points], NAMES, RAW)
    assert said.startswith(
        "At 1.00 M parameters, small unpruned is right on 80.0% ± 2.5 of the images; big "
    )
    assert words in said
    assert "after zeroing single weights was not measured at that size" in said
    # Neither the other recovery nor the order of the names plays a part.
    other = [found("big", 950_000, 990, 0.6, recovery=BN)]
    assert verdict([*other, *points, *SMALL, *BIG], NAMES[::-1], RAW) == said


def test_the_recovery_of_the_sidebar_is_named() -> None:
    points = [found("big", size, 850, 0.5, recovery=BN) for size in (1_000_000, 500_000)]
    said = verdict([*BIG, *SMALL, *points], NAMES, BN)
    assert f"big after removing channels ({BN}) is better" in said
    assert "removing channels was not measured" in verdict([*BIG, *SMALL, *points], NAMES, RAW)


def test_results_in_different_precisions_are_not_compared() -> None:
    points = [
        found("big", 1_000_000, 999, 0.5, precision="bf16"),
        found("big", 1_000_000, 999, 0.5, method=FINE),
    ]
    said = verdict([*BIG, *SMALL, *points], NAMES, RAW)
    assert "after removing channels was measured in another precision" in said
    assert "after zeroing single weights is better" in said


@pytest.mark.parametrize(
    ("right", "words"),
    [(850, "small is better"), (803, "cannot be told apart"), (700, "big is better")],
)
def test_baselines_of_one_size_are_compared_unpruned(right: int, words: str) -> None:
    said = verdict([*whole("big", 1_000_100, 800), *whole("small", 1_000_000, right)], NAMES, RAW)
    assert said.startswith("Unpruned, both have 1.00 M parameters")
    assert words in said


def test_a_baseline_that_was_not_measured_is_said() -> None:
    assert verdict(BIG, NAMES, RAW) == "Unpruned, small was not measured on these images."


def test_results_on_another_copy_of_the_images_are_left_out() -> None:
    elsewhere = [found("big", 1_000_000, 990, 0.5, data="a copy")]
    here = [found("small", 1_000_000, 990, 0.5)]
    kept = on_same_images({}, {"big": [*BIG, *elsewhere], "small": [*SMALL, *here]})
    assert kept == [*BIG, *SMALL, *here]
    assert on_same_images({}, {"big": [], "small": []}) == []


def test_curves_without_a_pruned_network_are_named() -> None:
    points = [found("big", 10, 10, 0.5, method, recovery) for method in GRANULARITIES
              for recovery in BY_LABEL]  # fmt: skip
    assert missing_curves([*points[1:], *SMALL], NAMES) == [
        f"big, fine-grained, {RAW}",
        *(f"small, {method.lower()}, {label}" for method in GRANULARITIES for label in BY_LABEL),
    ]


def test_the_frame_has_sizes_counts_and_intervals() -> None:
    (row,) = frame_of([found("big", 1234, 500, 0.25)]).to_dict("records")
    assert row["low"] < row["accuracy"] == 0.5 < row["high"]
    wanted = {"nonzero": 1234, "macs": 1_234_000, "correct": 500, "seen": IMAGES, "ratio": 0.25}
    assert {name: row[name] for name in wanted} == wanted
