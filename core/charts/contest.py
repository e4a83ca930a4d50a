"""The chart that compares contenders for one budget."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import Drawing, method_color, method_shape, named

ROW_HEIGHT = 34  # pixels
MARGIN = 90  # pixels, for axis and title


def contenders(found: pd.DataFrame) -> Drawing:
    """Draw the accuracy of each contender with its interval, the best on top.

    Columns of `found`: method, name, accuracy, low, high (0 to 1), correct, seen, left (fraction).
    """
    order = found.sort_values("accuracy", ascending=False, kind="stable")
    return Drawing(_spec(tuple(order["name"])), {"contenders": order})


@lru_cache(maxsize=64)
def _spec(names: tuple[str, ...]) -> dict[str, Any]:
    base = named("contenders").encode(
        y=alt.Y(
            "name:N",
            title=None,
            scale=alt.Scale(domain=list(names)),
            axis=alt.Axis(ticks=False, domain=False, labelLimit=200, labelOverlap=False),
        ),
        color=method_color().legend(None),
    )
    across = alt.X(
        "accuracy:Q",
        title="Accuracy on the test images",
        scale=alt.Scale(zero=False, nice=True, padding=20),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    tooltip = [
        alt.Tooltip("name:N", title="Ratios"),
        alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
        alt.Tooltip("low:Q", title="Interval from", format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("correct:Q", title="Images right", format=","),
        alt.Tooltip("seen:Q", title="of", format=","),
        alt.Tooltip("left:Q", title="Left", format=".1%"),
    ]
    layers = [
        base.mark_rule(strokeWidth=3, opacity=0.5).encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, size=110, opacity=1).encode(
            x=across, shape=method_shape().legend(None), tooltip=tooltip
        ),
    ]
    spec: dict[str, Any] = (
        alt.layer(*layers).properties(height=ROW_HEIGHT * len(names) + MARGIN).to_dict()
    )
    return spec
