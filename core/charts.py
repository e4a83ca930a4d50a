"""Frames in, Altair charts out. Knows column names, nothing of networks.

Colours of methods come from the theme (`chartCategoricalColors`), in the order of METHODS; shapes
tell the methods apart a second time.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.statistics import CHANCE

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart

METHODS = ("Fine-grained", "Channels")
SHAPES = ("circle", "square")
RECOVERIES = ("as pruned", "BN recalibrated")
DASHES = ([1, 0], [5, 3])
X_AXES = {
    "ratio": "Ratio asked for",
    "parameters_removed": "Parameters removed",
    "macs_removed": "MACs removed",
}
SPARSITY_SCALE = alt.Scale(scheme="viridis", domain=[0, 1])
LARGEST_GAP = 0.101  # between ratios that a line joins
MOST_DOTS = 40  # of one curve
CURVES = tuple(f"{method}, {recovery}" for method in METHODS for recovery in RECOVERIES)
PAGE_DATA = "source"  # what a page calls the frame that it passes beside a spec
FRAME_COLUMNS = {
    **dict.fromkeys(("what", "label", "method", "recovery", *CURVES), "string"),
    **dict.fromkeys(("ratio", "parameters_removed", "macs_removed"), "Float64"),
    **dict.fromkeys(("accuracy", "low", "high"), "Float64"),
    **dict.fromkeys(("correct", "seen", "stretch"), "Int64"),
    **dict.fromkeys(("alone", "dot"), "boolean"),
}

# The figures of the study that this explorer grew from: a ResNet-18 after 5 epochs, pruned without
# any recovery. It gave ranges; where it gave one number, both ends are the same.
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


def accuracy_frame(
    points: pd.DataFrame, baseline: float | None, current: float | None, study: bool
) -> pd.DataFrame:
    """All that `accuracy_chart` draws, as one frame; `what` says which layer a row belongs to.

    `points`: method, recovery (of RECOVERIES), ratio, parameters_removed, macs_removed, accuracy,
    low, high (all 0 to 1), correct, seen. `current` is the slider's ratio.
    """
    parts = [_with_stretches(points).assign(what="point"), _readings(points).assign(what="reading")]
    references = [("Chance", CHANCE)] + ([("Baseline", baseline)] if baseline is not None else [])
    parts.append(pd.DataFrame(references, columns=["label", "accuracy"]).assign(what="reference"))
    if current is not None:
        parts.append(pd.DataFrame({"ratio": [current], "what": "slider"}))
    if study:
        middle = (STUDY["low"] + STUDY["high"]) / 2
        parts.append(STUDY.assign(accuracy=middle, what="study"))
    # Every column is there whatever the parts are, so that only data ever changes on a page.
    together = pd.concat(parts, ignore_index=True).reindex(columns=list(FRAME_COLUMNS))
    return together.astype(FRAME_COLUMNS)


@lru_cache(maxsize=16)
def accuracy_spec(x: str, picking: str | None) -> dict[str, Any]:
    """`accuracy_chart` without its data, as Vega-Lite's JSON; never to be changed.

    A page that draws the same spec with other data has its marks moved, not drawn anew.
    """
    spec: dict[str, Any] = accuracy_chart(alt.NamedData(PAGE_DATA), x, picking).to_dict()
    return spec


def accuracy_chart(
    data: pd.DataFrame | alt.NamedData, x: str, picking: str | None = None
) -> AnyChart:
    """Accuracy against pruning, a line for each method and recovery with the band of its intervals.

    `data` is an `accuracy_frame`, or the name of one. `x` is one of X_AXES; what is known by ratio
    only, the slider and the study's figures, is drawn on that axis alone. `picking` names the
    selection, by ratio, of the point that is clicked.
    """
    source = alt.Chart(data)
    layers = _reference_layers(source)
    if x == "ratio":
        layers.append(
            _rows(source, "slider")
            .mark_rule(strokeDash=[2, 3], opacity=0.6, color="gray")
            .encode(x="ratio:Q")
        )
        layers += _study_layers(source)
    layers += _measured_layers(source, x)
    layers.append(_reading_layer(source, x, picking))
    return alt.layer(*layers).properties(height=370)


def _rows(source: alt.Chart, what: str) -> alt.Chart:
    return source.transform_filter(alt.datum.what == what)


def _measured_layers(source: alt.Chart, x: str) -> list[AnyChart]:
    color = alt.Color("method:N", scale=alt.Scale(domain=METHODS), legend=_top_legend())
    dash = alt.StrokeDash(
        "recovery:N",
        scale=alt.Scale(domain=RECOVERIES, range=DASHES),
        legend=alt.Legend(
            orient="top", title=None, symbolType="stroke", symbolSize=250, symbolStrokeWidth=2
        ),
    )
    horizontal = alt.X(
        f"{x}:Q",
        title=X_AXES[x],
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(
            format=".1f" if x == "ratio" else "%", values=[n / 10 for n in range(11)], grid=False
        ),
    )
    vertical = alt.Y(
        "accuracy:Q",
        title="Accuracy on the test images",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=6),
    )
    measured = _rows(source, "point").encode(x=horizontal, detail="stretch:N")
    return [
        measured.mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q", color=color),
        measured.mark_line(strokeWidth=2).encode(
            y=vertical, color=color, strokeDash=dash, order=alt.Order("ratio:Q")
        ),
        _rows(source, "point")
        .transform_filter(alt.datum.alone)
        .mark_rule(opacity=0.7)
        .encode(x=horizontal, y="low:Q", y2="high:Q", color=color),
        _rows(source, "point")
        .transform_filter(alt.datum.dot)
        .mark_point(filled=True, size=40, opacity=1)
        .encode(
            x=horizontal,
            y=vertical,
            color=color,
            shape=alt.Shape(
                "method:N", scale=alt.Scale(domain=METHODS, range=SHAPES), legend=_top_legend()
            ),
        ),
    ]


def _reading_layer(source: alt.Chart, x: str, picking: str | None) -> AnyChart:
    """What the pointer reads: on the ratio axis all curves at once, else the nearest point."""
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
            _rows(source, "reading")
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
        _rows(source, "point")
        .mark_point(filled=False, size=120, color="gray", strokeWidth=2)
        .encode(
            x=f"{x}:Q",
            y="accuracy:Q",
            opacity=alt.condition(hovered, alt.value(0.7), alt.value(0)),
            tooltip=[
                alt.Tooltip("method:N", title="Method"),
                alt.Tooltip("recovery:N", title="After pruning"),
                alt.Tooltip("ratio:Q", title="Ratio", format=".2f"),
                alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
                alt.Tooltip("low:Q", title="Interval from", format=".1%"),
                alt.Tooltip("high:Q", title="to", format=".1%"),
                alt.Tooltip("correct:Q", title="Images right", format=","),
                alt.Tooltip("seen:Q", title="of", format=","),
                alt.Tooltip("parameters_removed:Q", title="Parameters removed", format=".1%"),
                alt.Tooltip("macs_removed:Q", title="MACs removed", format=".1%"),
            ],
        )
        .add_params(*chosen)
    )


def _readings(points: pd.DataFrame) -> pd.DataFrame:
    """A row for each ratio, a column of text for each curve; "not measured" where it has none."""
    half_widths = 50 * (points["high"] - points["low"])
    texts = points.assign(
        curve=points["method"] + ", " + points["recovery"],
        text=[
            f"{100 * accuracy:.1f} % ± {half_width:.1f} of {seen:,}"
            for accuracy, half_width, seen in zip(
                points["accuracy"], half_widths, points["seen"], strict=True
            )
        ],
    )
    wide = texts.pivot(index="ratio", columns="curve", values="text")
    all_curves = wide.reindex(columns=list(CURVES)).astype("string")
    return all_curves.fillna("not measured").reset_index()


def _with_stretches(points: pd.DataFrame) -> pd.DataFrame:
    """Number the runs of neighbouring points: a line across a wider gap would be a guess.

    Adds stretch, whether a point is alone in it, and whether it gets a dot: dots show where a
    sparse curve was measured, while a dense one would become a string of beads.
    """
    curves = ["method", "recovery"]
    ordered = points.sort_values([*curves, "ratio"])
    starts = ordered.groupby(curves)["ratio"].diff().fillna(1) > LARGEST_GAP
    numbered = ordered.assign(stretch=starts.cumsum())
    return numbered.assign(
        alone=numbered.groupby("stretch")["ratio"].transform("size") == 1,
        dot=numbered.groupby(curves)["ratio"].transform("size") <= MOST_DOTS,
    )


def _reference_layers(source: alt.Chart) -> list[AnyChart]:
    references = _rows(source, "reference").encode(y="accuracy:Q")
    return [
        references.mark_rule(strokeDash=[6, 4], color="gray"),
        references.mark_text(align="right", baseline="bottom", dy=-3, dx=-4, color="gray").encode(
            x=alt.datum(1), text="label:N"
        ),
    ]


def _study_layers(source: alt.Chart) -> list[AnyChart]:
    """Open shapes and bars, so that the study is not taken for a measurement."""
    study = _rows(source, "study").encode(
        x="ratio:Q", color=alt.Color("method:N", scale=alt.Scale(domain=METHODS))
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
            y="accuracy:Q",
            shape=alt.Shape("method:N", scale=alt.Scale(domain=METHODS, range=SHAPES), legend=None),
            tooltip=tooltip,
        ),
    ]


def _top_legend() -> alt.Legend:
    return alt.Legend(orient="top", title=None, symbolOpacity=1)


def sparsity_heatmap(
    sparsities: pd.DataFrame, layers: Sequence[str], current: float, title: str
) -> AnyChart:
    """Sparsity reached, layer by ratio, on the scale from 0 to 1.

    `sparsities`: layer, ratio (the cell's left edge, steps of 0.05), sparsity, weights,
    weights_left. `current` marks the slider's ratio.
    """
    cells = (
        alt.Chart(sparsities)
        .mark_rect()
        .encode(
            x=alt.X(
                "ratio:O",
                title="Ratio asked for",
                axis=alt.Axis(values=[0, 0.25, 0.5, 0.75], format=".2f", labelAngle=0),
            ),
            y=_layer_axis(layers),
            color=alt.Color(
                "sparsity:Q",
                scale=SPARSITY_SCALE,
                legend=alt.Legend(
                    title="Sparsity reached", format="%", orient="bottom", gradientLength=150
                ),
            ),
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("ratio:Q", title="Ratio asked for", format=".2f"),
                alt.Tooltip("sparsity:Q", title="Sparsity reached", format=".1%"),
                alt.Tooltip("weights_left:Q", title="Weights left", format=","),
                alt.Tooltip("weights:Q", title="of", format=","),
            ],
        )
    )
    nearest = min(sparsities["ratio"].unique(), key=lambda ratio: abs(ratio - current))
    marked = (
        alt.Chart(sparsities[sparsities["ratio"] == nearest])
        .mark_rect(fill=None, stroke="white", strokeWidth=1.2)
        .encode(x="ratio:O", y=alt.Y("layer:N", sort=list(layers)))
    )
    return (cells + marked).properties(height=_height(layers), title=title)


def _layer_axis(layers: Sequence[str]) -> alt.Y:
    """Network order, every name shown, the longest ones shortened."""
    short = alt.Axis(labelExpr="replace(datum.label, 'downsample.0', 'down')", labelOverlap=False)
    return alt.Y("layer:N", sort=list(layers), title=None, axis=short)


def _height(layers: Sequence[str]) -> int:
    """Pixels, with 18 a layer and the rest for title, axis and legend."""
    return 18 * len(layers) + 160


def sparsity_bars(sparsities: pd.DataFrame, layers: Sequence[str], title: str) -> AnyChart:
    """Sparsity of each layer at the slider's position, both methods side by side.

    `sparsities`: method, layer, sparsity, weights, weights_left.
    """
    return (
        alt.Chart(sparsities)
        .mark_bar()
        .encode(
            x=alt.X(
                "sparsity:Q",
                title="Sparsity reached",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", values=[0, 0.5, 1]),
            ),
            y=_layer_axis(layers),
            yOffset=alt.YOffset("method:N", scale=alt.Scale(domain=METHODS)),
            color=alt.Color(
                "method:N",
                scale=alt.Scale(domain=METHODS),
                legend=alt.Legend(orient="bottom", title=None, columns=1),
            ),
            tooltip=[
                alt.Tooltip("layer:N", title="Layer"),
                alt.Tooltip("method:N", title="Method"),
                alt.Tooltip("sparsity:Q", title="Sparsity reached", format=".1%"),
                alt.Tooltip("weights_left:Q", title="Weights left", format=","),
                alt.Tooltip("weights:Q", title="of", format=","),
            ],
        )
        .properties(height=_height(layers), title=title)
    )


def loss_curve(curve: pd.DataFrame, epochs: int) -> AnyChart:
    """Training loss. `curve`: epoch (epochs done, fractional), loss, rate."""
    return (
        alt.Chart(curve)
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
    )


def validation_curve(ends: pd.DataFrame, epochs: int) -> AnyChart:
    """Accuracy after each epoch with its interval. `ends`: epoch, accuracy, low, high, seen."""
    points = alt.Chart(ends).encode(x=_epoch_axis(epochs))
    vertical = alt.Y(
        "accuracy:Q",
        title="Validation accuracy",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%"),
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
    bars = points.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q"), y2="high:Q")
    return (bars + line).properties(height=240, title="Accuracy after each epoch, with intervals")


def _epoch_axis(epochs: int) -> alt.X:
    return alt.X(
        "epoch:Q",
        title="Epochs done",
        scale=alt.Scale(domain=[0, epochs]),
        axis=alt.Axis(tickMinStep=1, grid=False),
    )


def for_print(chart: AnyChart, colors: Sequence[str], width: int = 720) -> AnyChart:
    """The chart on white, with the theme's colours, as it looks without a page around it."""
    return (
        chart.properties(width=width)
        .configure(background="white", font="sans-serif", padding=12)
        .configure_range(category=list(colors))
        .configure_axis(labelFontSize=12, titleFontSize=12)
        .configure_legend(labelFontSize=12)
        .configure_view(stroke=None)
    )
