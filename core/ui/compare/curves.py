"""The accuracy curves, with their controls and downloads."""

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
    """The chart, redrawn as points arrive, with its controls below.

    `is_final` means that nothing has to be measured at the current ratio.
    """

    def __init__(self, bench: Workbench, baseline: Cost, is_final: bool):
        self._known = bench.known
        self._settings = bench.settings
        self._baseline = baseline
        self._chance = 1 / bench.classes
        place = st.container()
        self._x, self._study, self.asked_to_fill, self._downloads = _controls(bench.is_of_the_study)
        # st.empty() removes the previous chart, which is then rebuilt instead of updated. So use it
        # only if this run will redraw the chart.
        self._slot = place if is_final and not self.asked_to_fill else place.empty()
        self._times_drawn = 0

    def draw(self, places: dict[str, dict[str, float]]) -> None:
        """Draw all known points. `places` maps method -> axis -> current position (0 to 1)."""
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
        # Each redraw in a run needs a new key. So does the chart after each click: clicking the
        # same point again changes nothing in a chart that still has it selected.
        key = f"curve_{st.session_state.get(PICKS, 0)}_{self._times_drawn}"
        self._times_drawn += 1
        show_chart(
            drawing,
            key,
            alt="Accuracy of both pruning methods against the amount pruned, as pruned, with "
            "batch-norm recalibrated, and reconstructed.",
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
    """Return all known points for these settings, as `charts.accuracy_against` takes them."""
    rows = []
    for method in GRANULARITIES:
        for name, recovery in BY_LABEL.items():
            look_up = known.curve if recovery == settings.recovery else known.glance_at_curve
            for point in look_up(Point(settings.spec(method, 0.5), recovery)):
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
    """Return the fractions removed from the baseline, by column of a curve's frame."""
    return {
        "parameters_removed": 1 - pruned.nonzero / baseline.nonzero,
        "macs_removed": 1 - pruned.macs / baseline.macs,
    }


def _move_slider(chart: str) -> None:
    """Set the slider to the clicked ratio; as a callback it runs before the slider is drawn."""
    picked = st.session_state[chart]["selection"].get(PICKED, [])
    if picked:
        st.session_state["ratio"] = min(float(picked[0]["ratio"]), HIGHEST_RATIO)
        st.session_state[PICKS] = st.session_state.get(PICKS, 0) + 1


def _controls(of_the_study: bool) -> tuple[str, bool, bool, DeltaGenerator]:
    """Draw the controls; return x column, study shown?, fill in pressed?, slot for downloads."""
    row = st.container(key="aside_controls")
    axis, study, fill, downloads = row.columns([4, 3, 3, 2], vertical_alignment="bottom")
    x = axis.segmented_control(
        "Accuracy against",
        list(X_AXES),
        default="ratio",
        required=True,
        key="x",
        bind="query-params",
        help="Zeros do not save MACs, so fine-grained pruning stays at 0 on the MACs axis.",
    )
    overlay = of_the_study and study.toggle(
        "Original study",
        value=True,
        key="study",
        bind="query-params",
        disabled=x != "ratio",
        help="Open shapes: a ResNet-18 after 5 epochs, pruned without recovery. The study gives "
        "results by ratio only.",
    )
    pressed = fill.button(
        "Fill in the curves",
        icon=":material/show_chart:",
        help="Measures the missing points of both methods at 0, 0.1 … 0.9, as pruned, "
        "recalibrated and reconstructed, on the test images chosen in the sidebar.",
        width="stretch",
    )
    popover = downloads.popover("Download", icon=":material/download:", width="stretch")
    return X_AXES[x], overlay, pressed, popover.empty()
