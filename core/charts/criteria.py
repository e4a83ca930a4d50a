"""The chart of all criteria against each other."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.accuracy import RECOVERY_LABELS
from core.charts.drawing import Drawing, named, of_a_result, top_legend

ROW_HEIGHT = 28  # pixels
MARGIN = 110  # pixels, for axis, title and legend
SHAPES = ("circle", "triangle-up", "diamond")
COLOURS = ("#999999", "#56B4E9", "#D55E00")


def criteria(found: pd.DataFrame, chance: float) -> Drawing:
    """Draw the accuracy by criterion, as pruned and after each recovery, the best on top.

    Columns of `found`: criterion (its label), recovery (its label), ratio, accuracy, low, high (0
    to 1), correct, seen, verdict (against the best of that recovery). `chance` is the accuracy of
    guessing.
    """
    last = found[found["recovery"] == max(found["recovery"], key=RECOVERY_LABELS.index)]
    order = last.sort_values("accuracy", ascending=False, kind="stable")["criterion"]
    others = [each for each in dict.fromkeys(found["criterion"]) if each not in set(order)]
    return Drawing(
        _spec((*order, *others)), {"found": found, "chance": pd.DataFrame({"accuracy": [chance]})}
    )


@lru_cache(maxsize=32)
def _spec(names: tuple[str, ...]) -> dict[str, Any]:
    base = named("found").encode(
        y=alt.Y(
            "criterion:N",
            title=None,
            scale=alt.Scale(domain=list(names)),
            axis=alt.Axis(ticks=False, domain=False, grid=True, labelLimit=160, labelOverlap=False),
        ),
        color=alt.Color(
            "recovery:N",
            scale=alt.Scale(domain=RECOVERY_LABELS, range=COLOURS),
            legend=top_legend(),
        ),
    )
    across = alt.X(
        "accuracy:Q",
        title="Accuracy on the test images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    rules = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x="low:Q", x2="high:Q")
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        x=across,
        shape=alt.Shape(
            "recovery:N", scale=alt.Scale(domain=RECOVERY_LABELS, range=SHAPES), legend=top_legend()
        ),
        tooltip=[
            alt.Tooltip("criterion:N", title="Criterion"),
            *of_a_result(),
            alt.Tooltip("verdict:N", title="Against the best"),
        ],
    )
    chance = named("chance").mark_rule(color="gray", strokeDash=[2, 3]).encode(x="accuracy:Q")
    spec: dict[str, Any] = (
        alt.layer(chance, rules, points)
        .properties(height=ROW_HEIGHT * len(names) + MARGIN)
        .to_dict()
    )
    return spec
