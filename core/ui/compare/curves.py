"""The curves of accuracy, with what is chosen and downloaded beside them."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import charts
from core.measuring.outcome import Cost
from core.measuring.statistics import wilson_interval
from core.pruning.matching import HIGHEST_RATIO
from core.results import CurvePoint
from core.specs.point import Point
from core.specs.recovery import BY_LABEL
from core.specs.vocabulary import GRANULARITIES
from core.sweeps.known import BASELINE, KnownResults
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_downloads
from core.ui.sidebar.settings import Settings

X_AXES = {"ratio": "ratio", "parameters": "parameters_removed", "MACs": "macs_removed"}
PICKED = "picked"
PICKS = "picks"


class CurveChart:
    """The chart in its slot, drawn anew as points come in; its controls are below it.

    `is_final` says that nothing is still to be measured at the slider.
    """

    def __init__(self, bench: Workbench, baseline: Cost, is_final: bool):
        self._known = bench.known
        self._settings = bench.settings
        self._baseline = baseline
        self._chance = 1 / bench.classes
        place = st.container()
        self._x, self._study, self.asked_to_fill, self._downloads = _controls()
        # A slot that can be filled again is emptied at first, and a chart taken away is drawn anew
        # instead of moved: so only where numbers are still to come.
        self._slot = place if is_final and not self.asked_to_fill else place.empty()
        self._times_drawn = 0

    def draw(self, places: dict[str, dict[str, float]]) -> None:
        """All that is known by now. `places`: where each method stands on each of the axes."""
        points = curve_frame(self._known, self._settings, self._baseline)
        unpruned = self._known.result(BASELINE)
        by_ratio = self._settings.match == "ratio"
        picking = PICKED if by_ratio else None
        drawing = charts.accuracy_against(
            self._x,
            points,
            unpruned.evaluation.accuracy if unpruned else None,
            self._chance,
            {name: place[self._x] for name, place in places.items()},
            self._study,
            picking,
        )
        # A key cannot be drawn twice in one run, and the chart is, where points come in live.
        # A point that is clicked a second time is news only to a chart that knows of no click.
        key = f"curve_{st.session_state.get(PICKS, 0)}_{self._times_drawn}"
        self._times_drawn += 1
        show_chart(
            drawing,
            key,
            alt="Accuracy of both pruning methods against the amount pruned, as pruned and with "
            "batch-norm recalibrated, as far as measured.",
            slot=self._slot,
            on_select=(lambda: _move_slider(key)) if by_ratio else None,
            selection=picking,
        )
        with self._downloads.container():
            offer_downloads(drawing, points, "accuracy", key)


CURVE_COLUMNS = (
    "method",
    "recovery",
    "ratio",
    "parameters_removed",
    "macs_removed",
    "accuracy",
    "low",
    "high",
    "correct",
    "seen",
    "precision",
)


def curve_frame(known: KnownResults, settings: Settings, baseline: Cost) -> pd.DataFrame:
    """The frame of `charts.accuracy_against`: everything known in these settings."""
    rows = []
    for method in GRANULARITIES:
        for name, recovery in BY_LABEL.items():
            for point in known.curve(Point(settings.spec(method, 0.5), recovery)):
                low, high = wilson_interval(point.correct, point.seen)
                rows.append(
                    (
                        method,
                        name,
                        point.ratio,
                        *removed(point, baseline).values(),
                        point.correct / point.seen,
                        low,
                        high,
                        point.correct,
                        point.seen,
                        point.precision,
                    )
                )
    return pd.DataFrame(rows, columns=CURVE_COLUMNS)


def removed(pruned: Cost | CurvePoint, baseline: Cost) -> dict[str, float]:
    """The parts of the baseline that are gone, by their columns in a curve's frame."""
    return {
        "parameters_removed": 1 - pruned.nonzero / baseline.nonzero,
        "macs_removed": 1 - pruned.macs / baseline.macs,
    }


def _move_slider(chart: str) -> None:
    """Set the slider to the ratio that was clicked; runs before the slider is drawn."""
    picked = st.session_state[chart]["selection"].get(PICKED, [])
    if picked:
        st.session_state["ratio"] = min(float(picked[0]["ratio"]), HIGHEST_RATIO)
        st.session_state[PICKS] = st.session_state.get(PICKS, 0) + 1


def _controls() -> tuple[str, bool, bool, DeltaGenerator]:
    """What the x axis shows, whether the study is drawn, whether to fill in, where downloads go."""
    row = st.container(key="aside_controls")
    axis, study, fill, downloads = row.columns([4, 3, 3, 2], vertical_alignment="bottom")
    x = axis.segmented_control(
        "Accuracy against",
        list(X_AXES),
        default="ratio",
        required=True,
        key="x",
        bind="query-params",
        help="Zeros save no executed MACs, so against MACs fine-grained pruning stays at 0.",
    )
    overlay = study.toggle(
        "Original study",
        value=True,
        key="study",
        bind="query-params",
        disabled=x != "ratio",
        help="Open shapes: a ResNet-18 after 5 epochs, pruned without recovery. It is known by "
        "ratio only.",
    )
    pressed = fill.button(
        "Fill in the curves",
        icon=":material/show_chart:",
        help="Measures what is not known yet of both methods at 0, 0.1 … 0.9, as pruned and "
        "recalibrated, on the test images chosen in the sidebar.",
        width="stretch",
    )
    popover = downloads.popover("Download", icon=":material/download:", width="stretch")
    return X_AXES[x], overlay, pressed, popover.empty()
