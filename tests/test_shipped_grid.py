"""Which prunings the results that ship are of, against a list that is written out here."""

import pytest

from core.recovery import Recovery
from core.results import Key
from core.shipped_grid import FIVE_EPOCHS, FULL, shipped_points
from core.sweep import Point, grid

RECOVERIES = ("none", "bn")
TWENTIETHS = range(5, 100, 5)  # in hundredths, the unpruned network left out
HUNDREDTHS = range(1, 96)

Curve = tuple[str, str, str, str]
DEFAULTS: list[Curve] = [("fine", "l1", "uniform", "all"), ("channel", "l1", "uniform", "all")]
OTHERS: list[Curve] = [("channel", "l1", "uniform", "internal"), ("fine", "l1", "global", "all")]
MASK: Curve = ("channel-mask", "l1", "uniform", "all")
BEST: Curve = ("channel", "bn", "global", "internal")


def key(point: Point) -> Key:
    return Key("baseline", point.spec, point.recovery, "data", 10_000, 0, "fp32")


def expected(name: str) -> set[tuple[Curve, int, str]]:
    """Curve, hundredths and recovery of every key."""
    found = {(DEFAULTS[0], 0, recovery) for recovery in RECOVERIES}  # unpruned, once for all curves
    for recovery in RECOVERIES:
        for curve in DEFAULTS:
            for hundredths in HUNDREDTHS if name == FULL else TWENTIETHS:
                found.add((curve, hundredths, recovery))
        for curve in [*OTHERS, BEST if name == FULL else MASK]:
            for hundredths in TWENTIETHS:
                found.add((curve, hundredths, recovery))
    return found


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (FULL, 2 * (1 + 2 * 95 + 3 * 19)),
        (FIVE_EPOCHS, 2 * (1 + 5 * 19)),
    ],
)
def test_the_grid_is_the_one_written_out(name: str, number: int) -> None:
    keys = {key(point) for point in shipped_points(name)}
    assert len(keys) == len(expected(name)) == number
    found = {
        (
            (key.spec.method, key.spec.criterion, key.spec.allocation, key.spec.scope),
            round(100 * key.spec.ratio),
            key.recovery.method,
        )
        for key in keys
    }
    assert found == expected(name)
    assert {key.spec.seed for key in keys} == {0}
    assert {key.recovery for key in keys} == {Recovery(), Recovery.named("bn")}


@pytest.mark.parametrize("name", [FULL, FIVE_EPOCHS])
def test_no_point_comes_twice(name: str) -> None:
    points = shipped_points(name)
    assert len(points) == len(set(points))


@pytest.mark.parametrize("name", [FULL, FIVE_EPOCHS])
def test_the_curves_that_are_seen_first_come_first(name: str) -> None:
    ratios = [hundredths / 100 for hundredths in (0, *TWENTIETHS)]
    first = grid(["fine", "channel"], ratios, recoveries=RECOVERIES)
    points = shipped_points(name)
    assert set(points[: len(first)]) == set(first)
    rest = [(point.spec.allocation, point.spec.scope) for point in points]
    last_default = max(i for i, kind in enumerate(rest) if kind == ("uniform", "all"))
    first_other = min(i for i, kind in enumerate(rest) if kind != ("uniform", "all"))
    assert name == FIVE_EPOCHS or last_default < first_other


@pytest.mark.parametrize("name", [FULL, FIVE_EPOCHS])
def test_both_recoveries_of_a_network_stand_side_by_side(name: str) -> None:
    points = shipped_points(name)
    for raw, recovered in zip(points[::2], points[1::2], strict=True):
        assert raw.spec == recovered.spec
        assert (raw.recovery.method, recovered.recovery.method) == RECOVERIES
