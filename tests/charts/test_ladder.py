"""The charts of the page Recovery: where rungs stand, and which lines join them."""

import pandas as pd
import pytest
import vl_convert

from core import charts
from core.charts.ladder import BOUNDARY, PLACES

COLORS = ["#0072B2", "#D55E00"]
WAYS = {"from here": "reconstructed", "from nowhere": ""}


def rung(label: str, images: int = 0, way: str = "", accuracy: float = 0.5) -> dict[str, object]:
    return {
        "method": "Channels",
        "rung": label,
        "way": way,
        "images": images,
        "accuracy": accuracy,
        "low": accuracy - 0.01,
        "high": accuracy + 0.01,
        "correct": round(1000 * accuracy),
        "seen": 1000,
        "took": "2.0 s",
    }


RUNGS = pd.DataFrame(
    [
        *(rung(label) for label in PLACES),
        rung("fine-tuned", 2000, "from here", 0.7),
        rung("fine-tuned", 50_000, "from here", 0.9),
        rung("fine-tuned", 2000, "from nowhere", 0.6),
    ]
)


def test_rungs_without_training_stand_left_of_the_boundary() -> None:
    drawn = charts.ladder(RUNGS, WAYS, 150_000, 0.92, 0.1).frames["rungs"]
    assert (drawn["x"] < BOUNDARY).tolist() == [True, True, True, True, False, False, False]
    assert drawn["x"].tolist()[4:] == [2000, 50_000, 2000]


def test_a_line_begins_at_the_rung_that_its_way_starts_from() -> None:
    lines = charts.ladder(RUNGS, WAYS, 150_000, 0.92, 0.1).frames["lines"]
    of_here = lines[lines["way"] == "from here"]
    assert sorted(of_here["x"]) == [PLACES["reconstructed"], 2000, 50_000]
    assert lines[lines["way"] == "from nowhere"]["x"].tolist() == [2000]
    untrained = charts.ladder(RUNGS[:4], WAYS, 150_000, None, 0.1).frames
    assert untrained["lines"].empty
    assert len(untrained["references"]) == 1


@pytest.mark.parametrize("rows", [0, 1, 4, 7])
def test_vega_draws_the_ladder(rows: int) -> None:
    drawing = charts.ladder(RUNGS[:rows], WAYS, 150_000, 0.92, 0.1)
    svg = vl_convert.vegalite_to_svg(drawing.for_print(COLORS))
    assert "reconstr." in svg
    assert "Unpruned" in svg


def test_vega_draws_the_live_curve() -> None:
    looks = pd.DataFrame([{"images": 0, "accuracy": 0.2, "low": 0.1, "high": 0.3, "seen": 1000}])
    svg = vl_convert.vegalite_to_svg(charts.held_out_curve(looks, 2000).for_print(COLORS))
    assert "held-out" in svg
