"""The chart of accuracy against pruning, with the original study's results."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.drawing import (
    AnyChart,
    Drawing,
    method_color,
    method_shape,
    named,
    of_a_result,
    top_legend,
)
from core.formatting import percent_within
from core.specs.vocabulary import GRANULARITIES, RECOVERIES

RECOVERY_LABELS = tuple(recovery.label for recovery in RECOVERIES.values())
DASHES = ([1, 0], [5, 3], [1.5, 2.5])
X_AXES = {
    "ratio": "Pruning ratio",
    "parameters_removed": "Parameters removed",
    "macs_removed": "MACs removed",
}
LARGEST_GAP = 0.101  # largest difference of ratios that a line connects
MOST_DOTS = 40  # curves with more points are drawn without dots
CURVES = tuple(f"{method}, {recovery}" for method in GRANULARITIES for recovery in RECOVERY_LABELS)

# Results of the study that this explorer is based on: a ResNet-18 after 5 epochs, pruned without
# recovery. It gives ranges; for a single number, low and high are equal.
STUDY = pd.DataFrame(
    [
        ("Fine-grained", 0.1, 0.80, 0.80),
        ("Fine-grained", 0.3, 0.75, 0.78),
        ("Fine-grained", 0.5, 0.50, 0.55),
        ("Channels", 0.1, 0.40, 0.45),
        ("Channels", 0.3, 0.20, 0.25),
        ("Channels", 0.5, 0.10, 0.15),
    ],
    columns=["method", "ratio", "low", "high"],
)

STUDY_LABEL_AT = ("Channels", 0.1)  # the label is below this point, away from the curves


def accuracy_against(
    x: str,
    points: pd.DataFrame,
    baseline: float | None,
    chance: float,
    current: Mapping[str, float],
    study: bool,
    picking: str | None = None,
) -> Drawing:
    """Draw a line for each method and recovery, with a band for its intervals.

    `x` is one of X_AXES; the study's results are drawn only on the axis "ratio". Columns of
    `points`: method, recovery (its label), ratio, parameters_removed, macs_removed, accuracy, low,
    high (all 0 to 1), correct, seen. `baseline` and `chance` are accuracies of reference lines.
    `current` is the slider's position on the axis for each method (of GRANULARITIES). `picking` is
    the name of the selection, by ratio, of the clicked point.
    """
    # Place the labels away from the curves, which start at the baseline and end at chance.
    references = [("Chance", chance, 0)]
    if baseline is not None:
        references.append(("Baseline", baseline, 1))
    middle = (STUDY["low"] + STUDY["high"]) / 2
    return Drawing(
        _spec(x, picking),
        {
            "points": with_segments(points, ["method", "recovery"]),
            "readings": _readings(points),
            "references": pd.DataFrame(references, columns=["label", "accuracy", "at"]),
            "slider": _slider(current),
            "study": STUDY.assign(accuracy=middle)[: None if study else 0],
        },
    )


@lru_cache(maxsize=16)
def _spec(x: str, picking: str | None) -> dict[str, Any]:
    layers = [*_reference_layers(), _slider_layer()]
    if x == "ratio":
        layers += _study_layers()
    layers += _measured_layers(x)
    layers.append(_reading_layer(x, picking))
    spec: dict[str, Any] = alt.layer(*layers).properties(height=275).to_dict()
    return spec


def _measured_layers(x: str) -> list[AnyChart]:
    color = method_color().legend(top_legend(symbolOpacity=1))
    shape = method_shape().legend(top_legend(symbolOpacity=1))
    dash = alt.StrokeDash(
        "recovery:N",
        scale=alt.Scale(domain=RECOVERY_LABELS, range=DASHES),
        legend=top_legend(symbolType="stroke", symbolSize=250, symbolStrokeWidth=2),
    )
    horizontal = alt.X(
        f"{x}:Q",
        title=X_AXES[x],
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(
            format=".1f" if x == "ratio" else "%",
            values=[n / 10 for n in range(11)],
            grid=False,
            labelFlush=True,
        ),
    )
    vertical = alt.Y(
        "accuracy:Q",
        title="Accuracy on the test images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=6),
    )
    points = named("points")
    measured = points.encode(x=horizontal, detail="segment:N")
    return [
        measured.mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q", color=color),
        measured.mark_line(strokeWidth=2).encode(
            y=vertical, color=color, strokeDash=dash, order=alt.Order("ratio:Q")
        ),
        points.transform_filter(alt.datum.alone)
        .mark_rule(opacity=0.7)
        .encode(x=horizontal, y="low:Q", y2="high:Q", color=color),
        points.transform_filter(alt.datum.dot)
        .mark_point(filled=True, size=40, opacity=1)
        .encode(x=horizontal, y=vertical, color=color, shape=shape),
    ]


def _slider(current: Mapping[str, float]) -> pd.DataFrame:
    """Return the slider's mark for each method; one mark without a method if they coincide."""
    places = set(current.values())
    marks = {"": places.pop()} if len(places) == 1 else current
    return pd.DataFrame({"method": list(marks.keys()), "x": list(marks.values())})


def _slider_layer() -> AnyChart:
    return (
        named("slider")
        .mark_rule(strokeDash=[2, 3], strokeOpacity=0.6)
        .encode(
            x="x:Q",
            color=alt.condition(alt.datum.method == "", alt.value("gray"), method_color()),
        )
    )


def _reading_layer(x: str, picking: str | None) -> AnyChart:
    """Draw tooltips: on the ratio axis for all curves at once, else for the nearest point."""
    hovered = alt.selection_point(
        name="hovered",
        fields=["ratio"],
        nearest=True,
        on="pointermove",
        clear="pointerout",
        empty=False,
    )
    chosen = [hovered]
    if picking is not None:
        chosen.append(
            alt.selection_point(
                name=picking, fields=["ratio"], nearest=True, on="click", clear=False, empty=False
            )
        )
    if x == "ratio":
        return (
            named("readings")
            .mark_rule(color="gray")
            .encode(
                x="ratio:Q",
                opacity=alt.condition(hovered, alt.value(0.7), alt.value(0)),
                tooltip=[
                    alt.Tooltip("ratio:Q", title="Ratio", format=".2f"),
                    *(alt.Tooltip(f"{name}:N", title=name) for name in CURVES),
                ],
            )
            .add_params(*chosen)
        )
    return (
        named("points")
        .mark_point(filled=False, size=120, color="gray", strokeWidth=2)
        .encode(
            x=f"{x}:Q",
            y="accuracy:Q",
            opacity=alt.condition(hovered, alt.value(0.7), alt.value(0)),
            tooltip=[
                alt.Tooltip("method:N", title="Method"),
                *of_a_result(),
                alt.Tooltip("parameters_removed:Q", title="Parameters removed", format=".1%"),
                alt.Tooltip("macs_removed:Q", title="MACs removed", format=".1%"),
            ],
        )
        .add_params(*chosen)
    )


def _readings(points: pd.DataFrame) -> pd.DataFrame:
    """Return a row per ratio with a text column per curve, "not measured" if there is no point."""
    texts: dict[float, dict[str, str]] = {}
    for row in points.to_dict("records"):
        texts.setdefault(row["ratio"], {})[f"{row['method']}, {row['recovery']}"] = (
            f"{percent_within(row['accuracy'], row['low'], row['high'])} of {row['seen']:,}"
        )
    unknown = dict.fromkeys(CURVES, "not measured")
    rows = [{"ratio": ratio, **unknown, **texts[ratio]} for ratio in sorted(texts)]
    return pd.DataFrame(rows, columns=["ratio", *CURVES]).astype({"ratio": float})


def with_segments(points: pd.DataFrame, curves: list[str]) -> pd.DataFrame:
    """Split each curve into segments at gaps above LARGEST_GAP, which a line must not bridge.

    `curves` are the columns that tell curves apart.

    Adds the columns segment (its number), alone (a segment of one point) and dot (draw a dot). Only
    curves with few points get dots; on dense curves dots would overlap.
    """
    ordered = points.sort_values([*curves, "ratio"], ignore_index=True)
    starts = ordered.groupby(curves)["ratio"].diff().fillna(1) > LARGEST_GAP
    numbered = ordered.assign(segment=starts.cumsum())
    return numbered.assign(
        alone=numbered.groupby("segment")["ratio"].transform("size") == 1,
        dot=numbered.groupby(curves)["ratio"].transform("size") <= MOST_DOTS,
    )


def _reference_layers() -> list[AnyChart]:
    references = named("references").encode(y="accuracy:Q")
    return [
        references.mark_rule(strokeDash=[6, 4], color="gray"),
        references.mark_text(
            align=alt.expr("datum.at ? 'right' : 'left'"),
            dx=alt.expr("datum.at ? -4 : 4"),
            dy=-3,
            baseline="bottom",
            color="gray",
        ).encode(x="at:Q", text="label:N"),
    ]


def _study_layers() -> list[AnyChart]:
    """Draw the study's results with open shapes and bars, unlike measurements."""
    study = named("study").encode(x="ratio:Q", color=method_color())
    label = (
        named("study")
        .transform_filter(
            (alt.datum.method == STUDY_LABEL_AT[0]) & (alt.datum.ratio == STUDY_LABEL_AT[1])
        )
        .mark_text(align="left", dx=-6, dy=17, color="gray", text="Original study")
        .encode(x="ratio:Q", y="accuracy:Q")
    )
    tooltip = [
        alt.Tooltip("method:N", title="The study, method"),
        alt.Tooltip("ratio:Q", title="Ratio", format=".1f"),
        alt.Tooltip("low:Q", title="Accuracy from", format=".0%"),
        alt.Tooltip("high:Q", title="to", format=".0%"),
    ]
    return [
        study.mark_rule(strokeWidth=2).encode(y="low:Q", y2="high:Q"),
        study.mark_point(filled=False, size=90, strokeWidth=2).encode(
            y="accuracy:Q", shape=method_shape().legend(None), tooltip=tooltip
        ),
        label,
    ]
