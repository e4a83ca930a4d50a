"""The view Classes: who lost how much."""

from collections.abc import Sequence

import pandas as pd

from core import charts
from core.measuring.flips import ClassChange
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.texts import show_remark

MOST_ROWS = 40  # of a chart, which more would make too high
PRESENTED_HEIGHT, PRESENTED_ROW = 480, 32  # pixels


def show_classes(changes: Sequence[ClassChange], names: Sequence[str]) -> None:
    """Draw the accuracy of each class before and after, who lost most on top."""
    frame = frame_of(changes, names)
    shown = ends_of([names[each.label] for each in changes])
    drawing = charts.class_changes(frame[frame["name"].isin(shown)])
    if len(shown) < len(changes):
        show_remark(f"The {len(shown) // 2} classes that lost most and those that lost least.")
    show_chart(
        drawing,
        "class_changes",
        alt="The accuracy of each class before and after, with intervals, the largest loss on top.",
        presented_height=max(PRESENTED_HEIGHT, PRESENTED_ROW * len(shown)),
    )
    offer_all({"classes": (drawing, frame)})


def ends_of(ordered: Sequence[str]) -> list[str]:
    """Return the first and the last of more than MOST_ROWS, else all."""
    if len(ordered) <= MOST_ROWS:
        return list(ordered)
    return [*ordered[: MOST_ROWS // 2], *ordered[-MOST_ROWS // 2 :]]


def frame_of(changes: Sequence[ClassChange], names: Sequence[str]) -> pd.DataFrame:
    """Return the frame of `charts.class_changes`, in the order of the changes."""
    rows = []
    for each in changes:
        rights = (each.right_before, each.right_after)
        for side, correct, (low, high) in zip(charts.SIDES, rights, each.intervals, strict=True):
            rows.append(
                {
                    "name": names[each.label],
                    "side": side,
                    "accuracy": correct / each.seen,
                    "low": low,
                    "high": high,
                    "correct": correct,
                    "seen": each.seen,
                    "change": 100 * each.change,
                }
            )
    return pd.DataFrame(rows)
