"""Charts of a training: loss and validation accuracy."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import Drawing, named


def loss_curve(curve: pd.DataFrame, epochs: int) -> Drawing:
    """Draw the training loss. Columns of `curve`: epoch (fractional, epochs done), loss, rate."""
    return Drawing(_loss_spec(epochs), {"curve": curve})


@lru_cache(maxsize=16)
def _loss_spec(epochs: int) -> dict[str, Any]:
    spec: dict[str, Any] = (
        named("curve")
        .mark_line(strokeWidth=2)
        .encode(
            x=_epoch_axis(epochs),
            y=alt.Y("loss:Q", title="Training loss", scale=alt.Scale(zero=False)),
            tooltip=[
                alt.Tooltip("epoch:Q", title="Epochs done", format=".2f"),
                alt.Tooltip("loss:Q", title="Training loss", format=".3f"),
                alt.Tooltip("rate:Q", title="Learning rate", format=".4f"),
            ],
        )
        .properties(height=240, title="Loss on the training images, as augmented")
        .to_dict()
    )
    return spec


def validation_curve(ends: pd.DataFrame, epochs: int) -> Drawing:
    """Draw the accuracy after each epoch. Columns of `ends`: epoch, accuracy, low, high, seen."""
    return Drawing(_validation_spec(epochs), {"ends": ends})


@lru_cache(maxsize=16)
def _validation_spec(epochs: int) -> dict[str, Any]:
    points = named("ends").encode(x=_epoch_axis(epochs))
    vertical = alt.Y(
        "accuracy:Q",
        title="Accuracy",
        scale=alt.Scale(zero=False),
        axis=alt.Axis(format="%", tickCount=5),
    )
    line = points.mark_line(point=alt.OverlayMarkDef(size=50), strokeWidth=2).encode(
        y=vertical,
        tooltip=[
            alt.Tooltip("epoch:Q", title="Epochs done"),
            alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
            alt.Tooltip("low:Q", title="Interval from", format=".1%"),
            alt.Tooltip("high:Q", title="to", format=".1%"),
            alt.Tooltip("seen:Q", title="Images", format=","),
        ],
    )
    bars = points.mark_rule(strokeWidth=2, color="gray").encode(y=alt.Y("low:Q"), y2="high:Q")
    spec: dict[str, Any] = (
        (bars + line)
        .properties(height=240, title="Accuracy after each epoch, with intervals")
        .to_dict()
    )
    return spec


def _epoch_axis(epochs: int) -> alt.X:
    return alt.X(
        "epoch:Q",
        title="Epochs done",
        scale=alt.Scale(domain=[0, epochs]),
        axis=alt.Axis(tickMinStep=1, grid=False),
    )
