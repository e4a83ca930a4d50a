"""Charts of predictions: flips, classes and confusions."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import Drawing, named, of_an_accuracy, top_legend

LOSS, GAIN = "#9970AB", "#5AAE61"
STILL_RIGHT, STILL_WRONG = "#BBC0C7", "#747A83"
BLUE = "#4E79A7"
SIDES = ("before", "after")
ROW_HEIGHT = 26  # pixels
MARGIN = 90  # pixels, for axis and title
MOST_IN_MATRIX = 25  # classes; more cannot be read
MOST_NUMBERS = 12  # classes, up to which the cells of a matrix have numbers
BAR = 0.08  # the width of the bars at both ends of the flow, of its length


def flow(counts: dict[str, int]) -> Drawing:
    """Draw how many images go which way, from right and wrong before to right and wrong after.

    `counts` are those of lost, gained, still right and still wrong images.
    """
    below_before, below_after = {}, {}
    level = 0
    for name in ("still wrong", "gained", "lost", "still right"):  # wrong before is at the bottom
        below_before[name] = level
        level += counts[name]
    level = 0
    for name in ("still wrong", "lost", "gained", "still right"):
        below_after[name] = level
        level += counts[name]
    rows = []
    for name, count in counts.items():
        start, end = below_before[name], below_after[name]
        for x, low in ((0, start), (BAR, start), (1 - BAR, end), (1, end)):
            rows.append({"way": name, "x": x, "low": low, "high": low + count, "images": count})
    return Drawing(_flow_spec(level), {"bands": pd.DataFrame(rows)})


@lru_cache(maxsize=16)
def _flow_spec(images: int) -> dict[str, Any]:
    ways = ("still right", "lost", "gained", "still wrong")
    spec: dict[str, Any] = (
        named("bands")
        .mark_area(interpolate="monotone", opacity=0.9)
        .encode(
            x=alt.X(
                "x:Q",
                title=None,
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(
                    values=[0, 1],
                    labelExpr="datum.value == 0 ? 'before' : 'after'",
                    grid=False,
                    ticks=False,
                    domain=False,
                    labelAlign=alt.ExprRef("datum.value == 0 ? 'left' : 'right'"),
                ),
            ),
            y=alt.Y(
                "low:Q",
                title="Test images",
                scale=alt.Scale(domain=[0, images], nice=False),
                axis=alt.Axis(format=",d", tickCount=3, grid=False),
            ),
            y2="high:Q",
            detail="way:N",
            color=alt.Color(
                "way:N",
                scale=alt.Scale(domain=ways, range=[STILL_RIGHT, LOSS, GAIN, STILL_WRONG]),
                legend=top_legend(symbolType="square", symbolOpacity=1),
            ),
            tooltip=[
                alt.Tooltip("way:N", title="Way"),
                alt.Tooltip("images:Q", title="Images", format=","),
            ],
        )
        .properties(height=200)
        .to_dict()
    )
    return spec


def class_changes(classes: pd.DataFrame) -> Drawing:
    """Draw the accuracy of each class before and after, in the order of the rows.

    Columns: name, side (of SIDES), accuracy, low, high (0 to 1), correct, seen, change (points).
    """
    return Drawing(_classes_spec(tuple(dict.fromkeys(classes["name"]))), {"classes": classes})


@lru_cache(maxsize=64)
def _classes_spec(names: tuple[str, ...]) -> dict[str, Any]:
    base = named("classes").encode(
        y=alt.Y(
            "name:N",
            title=None,
            scale=alt.Scale(domain=list(names)),
            axis=alt.Axis(ticks=False, domain=False, labelLimit=130, labelOverlap=False),
        )
    )
    across = alt.X(
        "accuracy:Q",
        title="Accuracy on the test images of the class",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6),
    )
    color = side_color()
    spec: dict[str, Any] = (
        alt.layer(
            base.mark_line(color="gray", strokeWidth=1.5, opacity=0.6).encode(
                x=across, detail="name:N"
            ),
            base.mark_rule(strokeWidth=3, opacity=0.4).encode(x="low:Q", x2="high:Q", color=color),
            base.mark_point(filled=True, size=80, opacity=1).encode(
                x=across,
                color=color,
                tooltip=[
                    alt.Tooltip("name:N", title="Class"),
                    alt.Tooltip("side:N", title="When"),
                    *of_an_accuracy(),
                    alt.Tooltip("change:Q", title="Change in points", format="+.1f"),
                ],
            ),
        )
        .properties(height=ROW_HEIGHT * len(names) + MARGIN)
        .to_dict()
    )
    return spec


def side_color() -> alt.Color:
    return alt.Color(
        "side:N",
        scale=alt.Scale(domain=SIDES, range=["#8A9099", LOSS]),
        legend=top_legend(symbolOpacity=1, symbolType="circle"),
    )


def confusions(cells: pd.DataFrame, is_shift: bool, picking: str | None) -> Drawing:
    """Draw a confusion matrix, or with `is_shift` the difference of two, on a diverging scale.

    Columns of `cells`: true, answer (names of classes, in the order of the axes), images. The scale
    is that of the answers that are wrong, since those that are right are many more. `picking` is
    the name of the selection, by true class, answer and images, of the clicked cell.
    """
    names = tuple(dict.fromkeys(cells["true"]))
    wrong = cells.loc[cells["true"] != cells["answer"], "images"].abs()
    largest = max(1, int(wrong.max())) if len(wrong) else 1
    return Drawing(_confusions_spec(names, is_shift, largest, picking), {"cells": cells})


@lru_cache(maxsize=64)
def _confusions_spec(
    names: tuple[str, ...], is_shift: bool, largest: int, picking: str | None
) -> dict[str, Any]:
    # Fewer right answers are a loss, where fewer wrong ones are a gain.
    value = "datum.true == datum.answer ? -datum.images : datum.images" if is_shift else "0"
    # What is little is transparent, so that the numbers can be read on any background.
    size = f"min(abs(datum.images) / {largest}, 1)"
    base = (
        named("cells")
        .transform_calculate(value=value, size=size)
        .encode(
            x=alt.X(
                "answer:N",
                title="Answer",
                scale=alt.Scale(domain=list(names)),
                axis=alt.Axis(
                    labelAngle=-50, ticks=False, domain=False, labelLimit=110, labelOverlap=False
                ),
            ),
            y=alt.Y(
                "true:N",
                title="True class",
                scale=alt.Scale(domain=list(names)),
                axis=alt.Axis(ticks=False, domain=False, labelLimit=110, labelOverlap=False),
            ),
        )
    )
    cells = base.mark_rect().encode(
        color=alt.condition(
            "datum.value < 0", alt.value(GAIN), alt.value(LOSS if is_shift else BLUE)
        ),
        opacity=alt.Opacity("size:Q", scale=alt.Scale(domain=[0, 1], range=[0, 0.85]), legend=None),
        tooltip=[
            alt.Tooltip("true:N", title="True class"),
            alt.Tooltip("answer:N", title="Answer"),
            alt.Tooltip("images:Q", title="Images", format="+," if is_shift else ","),
        ],
    )
    if picking is not None:
        cells = cells.add_params(
            alt.selection_point(
                name=picking,
                fields=["true", "answer", "images"],
                on="click",
                clear=False,
                empty=False,
            )
        )
    layers = [cells]
    if len(names) <= MOST_NUMBERS:
        layers.append(
            base.transform_filter("datum.images != 0")
            .mark_text(fontSize=11)
            .encode(text=alt.Text("images:Q", format="+,d" if is_shift else ",d"))
        )
    spec: dict[str, Any] = (
        alt.layer(*layers).properties(height=max(300, 26 * len(names) + 110)).to_dict()
    )
    return spec
