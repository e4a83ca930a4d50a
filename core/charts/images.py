"""Charts of single images: how sure a network is of them, when they are lost, how hard they are."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import Drawing, named, of_an_accuracy, top_legend
from core.charts.predictions import (
    LOSS,
    MARGIN,
    ROW_HEIGHT,
    STILL_RIGHT,
    STILL_WRONG,
    side_color,
)


def reliability(bins: pd.DataFrame) -> Drawing:
    """Draw the accuracy at each confidence, before and after, beside what it should be.

    Columns: side (of SIDES), confidence (mean), accuracy, low, high (0 to 1), correct, seen.
    """
    ideal = pd.DataFrame({"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0]})
    return Drawing(_reliability_spec(), {"bins": bins, "ideal": ideal})


@lru_cache(maxsize=1)
def _reliability_spec() -> dict[str, Any]:
    across = alt.X(
        "confidence:Q",
        title="Confidence",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    up = alt.Y(
        "accuracy:Q",
        title="Accuracy",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    color = side_color()
    base = named("bins").encode(x=across, color=color)
    spec: dict[str, Any] = (
        alt.layer(
            named("ideal")
            .mark_line(color="gray", strokeDash=[6, 4], strokeWidth=1)
            .encode(x=across, y=up),
            base.mark_line(strokeWidth=1.5, opacity=0.7).encode(y=up),
            base.mark_rule(strokeWidth=3, opacity=0.4).encode(y="low:Q", y2="high:Q"),
            base.mark_point(filled=True, opacity=1).encode(
                y=up,
                size=alt.Size("seen:Q", scale=alt.Scale(range=[20, 300]), legend=None),
                tooltip=[
                    alt.Tooltip("side:N", title="When"),
                    alt.Tooltip("confidence:Q", title="Mean confidence", format=".1%"),
                    *of_an_accuracy(),
                ],
            ),
        )
        .properties(height=360)
        .to_dict()
    )
    return spec


def when_lost(counts: pd.DataFrame, names: Sequence[str], current: float) -> Drawing:
    """Draw at which ratio how many images of each class are lost, as circles in a row per class.

    Columns of `counts`: name, ratio, images, seen (of the class, those that were right).
    """
    return Drawing(
        _when_lost_spec(tuple(names)),
        {"counts": counts, "current": pd.DataFrame({"ratio": [current]})},
    )


@lru_cache(maxsize=64)
def _when_lost_spec(names: tuple[str, ...]) -> dict[str, Any]:
    across = alt.X(
        "ratio:Q",
        title="Pruning ratio at which an image is first lost",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format=".1f", tickCount=10, grid=True),
    )
    circles = (
        named("counts")
        .mark_circle(opacity=0.85, color=LOSS)
        .encode(
            x=across,
            y=alt.Y(
                "name:N",
                title=None,
                scale=alt.Scale(domain=list(names)),
                axis=alt.Axis(
                    ticks=False, domain=False, grid=False, labelLimit=130, labelOverlap=False
                ),
            ),
            size=alt.Size("images:Q", scale=alt.Scale(range=[0, 500], zero=True), legend=None),
            tooltip=[
                alt.Tooltip("name:N", title="Class"),
                alt.Tooltip("ratio:Q", title="Lost at", format=".2f"),
                alt.Tooltip("images:Q", title="Images", format=","),
                alt.Tooltip("seen:Q", title="of, right before", format=","),
            ],
        )
    )
    current = named("current").mark_rule(color="#E69F00", strokeWidth=2).encode(x=across)
    spec: dict[str, Any] = (
        alt.layer(circles, current).properties(height=ROW_HEIGHT * len(names) + MARGIN).to_dict()
    )
    return spec


def times_wrong(counts: pd.DataFrame, settings: int) -> Drawing:
    """Draw how many images are wrong how often.

    Columns: first and last (how often, inclusive), unpruned ("right unpruned", "wrong unpruned"),
    images.
    """
    sided = counts.assign(left=counts["first"] - 0.5, right=counts["last"] + 0.5)
    return Drawing(_times_wrong_spec(settings), {"counts": sided})


@lru_cache(maxsize=16)
def _times_wrong_spec(settings: int) -> dict[str, Any]:
    spec: dict[str, Any] = (
        named("counts")
        .mark_bar()
        .encode(
            x=alt.X(
                "left:Q",
                title=f"Wrong in so many of {settings:,} settings",
                scale=alt.Scale(domain=[-0.5, settings + 0.5], nice=False),
                axis=alt.Axis(format=",d", tickCount=8, grid=False),
                bin="binned",
            ),
            x2="right:Q",
            y=alt.Y("images:Q", title="Test images", axis=alt.Axis(format=",d", tickCount=5)),
            color=alt.Color(
                "unpruned:N",
                scale=alt.Scale(
                    domain=["right unpruned", "wrong unpruned"], range=[STILL_RIGHT, STILL_WRONG]
                ),
                legend=top_legend(symbolOpacity=1, symbolType="square"),
            ),
            tooltip=[
                alt.Tooltip("first:Q", title="Wrong from", format=","),
                alt.Tooltip("last:Q", title="to", format=","),
                alt.Tooltip("unpruned:N", title="The unpruned network"),
                alt.Tooltip("images:Q", title="Images", format=","),
            ],
        )
        .properties(height=240)
        .to_dict()
    )
    return spec
