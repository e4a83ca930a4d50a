"""The comparison of both methods: cards, curve, costs, in slots that do not jump."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.charts import METHODS as METHOD_NAMES
from core.pruning import PruningSpec
from core.ui.cards import cost_table, method_card
from core.ui.measuring import Measured, Measurements, as_point, as_points
from core.ui.resources import load_compressed_bytes
from core.ui.workbench import Workbench

CURVE_RATIOS = tuple(step / 10 for step in range(10))
ALL_RATIOS = tuple(step / 100 for step in range(96))
X_AXES = {"ratio": "ratio", "parameters": "parameters_removed", "MACs": "macs_removed"}


class Comparison:
    """One run of the page. Slots are reserved first and filled as numbers become known."""

    def __init__(self, bench: Workbench):
        self._bench = bench
        self._specs = bench.specs()
        self._measurements = bench.measurements()
        # What takes time comes before the first slot is opened: an open slot shows nothing.
        self._costs = {"Baseline": bench.cost(None)}
        self._costs |= {name: bench.cost(spec) for name, spec in self._specs.items()}
        self._cards: dict[str, DeltaGenerator] = {}
        for name, column in zip(METHOD_NAMES, st.columns(len(METHOD_NAMES)), strict=True):
            self._cards[name] = column.empty()
            self._draw_card(name)
        self._x, self._study, self._fill = _chart_controls(self._measurements is not None)
        self._chart = st.empty()
        self._draw_chart()
        self._progress = st.empty()
        st.markdown("**Costs in full**")
        self._table = st.empty()
        self._draw_table({})

    def measure(self) -> None:
        """Measure what is not known yet, each batch on the screen as it comes."""
        if self._measurements is not None:
            self._measure(self._measurements)
        self._draw_table(
            {
                name: load_compressed_bytes(self._bench.file, spec)
                for name, spec in {"Baseline": None, **self._specs}.items()
            }
        )

    def _measure(self, measurements: Measurements) -> None:
        """The baseline, then both methods, then the curve if it was asked for."""
        for measured in measurements.measure(None):
            evaluation = measured.evaluation
            if not evaluation.is_complete:
                part = evaluation.seen / evaluation.total
                self._progress.progress(part, f"Evaluating the baseline: {evaluation.accuracy:.1%}")
        self._progress.empty()
        for name, spec in self._specs.items():
            for measured in measurements.measure(spec):
                self._draw_card(name, measured)
        self._draw_chart()
        if self._fill:
            self._fill_in(measurements)

    def _fill_in(self, measurements: Measurements) -> None:
        """Measure both curves; every point is drawn once it is known, and kept."""
        wanted = [
            self._bench.settings.spec(name, ratio)
            for ratio in CURVE_RATIOS
            for name in METHOD_NAMES
        ]
        for done, spec in enumerate(wanted):
            for measured in measurements.measure(spec):
                evaluation = measured.evaluation
                part = (done + evaluation.seen / evaluation.total) / len(wanted)
                self._progress.progress(
                    min(part, 1.0),
                    f"Filling in the curve: {done + 1} of {len(wanted)} points "
                    "(moving any control stops it; what is measured stays)",
                )
            self._draw_chart()
        self._progress.empty()

    def _known(self, spec: PruningSpec | None) -> Measured | None:
        return self._measurements.known(spec) if self._measurements is not None else None

    def _draw_card(self, name: str, measured: Measured | None = None) -> None:
        spec = self._specs[name]
        method_card(
            self._cards[name],
            name,
            spec,
            self._costs[name],
            self._costs["Baseline"],
            measured or self._known(spec),
            self._known(None),
            can_measure=self._measurements is not None,
        )

    def _draw_chart(self) -> None:
        rows = []
        for name in METHOD_NAMES:
            for ratio in ALL_RATIOS:
                if measured := self._known(self._bench.settings.spec(name, ratio)):
                    rows.append(as_point(name, ratio, measured, self._costs["Baseline"]))
        baseline = self._known(None)
        settings = self._bench.settings
        self._chart.altair_chart(
            charts.accuracy_curve(
                as_points(rows),
                baseline.evaluation.accuracy if baseline else None,
                self._x,
                settings.ratio if settings.match == "ratio" else None,
                self._study,
            ),
            width="stretch",
            key=None,
            alt="Accuracy of both pruning methods against the amount pruned, as far as measured.",
        )

    def _draw_table(self, compressed: dict[str, int]) -> None:
        with self._table.container():
            cost_table(self._costs, compressed)


def _chart_controls(can_measure: bool) -> tuple[str, bool, bool]:
    """What the x axis shows, whether the study is drawn, whether the curve is to be filled in."""
    axis, study, fill = st.columns([4, 3, 3], vertical_alignment="bottom")
    x = axis.segmented_control(
        "Accuracy against what was removed, counted as",
        list(X_AXES),
        default="ratio",
        required=True,
        key="x",
        bind="query-params",
    )
    overlay = study.toggle(
        "Original study (open shapes)",
        value=True,
        key="study",
        bind="query-params",
        disabled=x != "ratio",
        help="A ResNet-18 after 5 epochs, pruned without recovery. Known by ratio only.",
    )
    pressed = fill.button(
        "Fill in the curve",
        icon=":material/show_chart:",
        disabled=not can_measure,
        help="Measures both methods at 0, 0.1 … 0.9 on the test images chosen in the sidebar.",
        width="stretch",
    )
    return X_AXES[x], overlay, pressed


def show_comparison(bench: Workbench) -> None:
    """Draw the page's content; returns when everything at the slider's position is measured."""
    Comparison(bench).measure()
