"""Charts from data frames, independent of networks and pages."""

from core.charts.accuracy import CURVES, STUDY, X_AXES, accuracy_against
from core.charts.closeup import channel_order, kernel_map, weight_distribution
from core.charts.contest import contenders
from core.charts.criteria import criteria
from core.charts.drawing import Drawing
from core.charts.efficiency import (
    METHOD_LABELS,
    UNPRUNED,
    pareto,
    sizes,
    time_against_work,
    widths,
)
from core.charts.images import reliability, times_wrong, when_lost
from core.charts.ladder import held_out_curve, ladder
from core.charts.layers import layers_overview, sensitivity_heatmap
from core.charts.mixes import mixes, same_size
from core.charts.network import layer_bars
from core.charts.predictions import MOST_IN_MATRIX, SIDES, class_changes, confusions, flow
from core.charts.training import loss_curve, validation_curve
from core.charts.versus import SIZES, versus

__all__ = [
    "CURVES",
    "METHOD_LABELS",
    "MOST_IN_MATRIX",
    "SIDES",
    "SIZES",
    "STUDY",
    "UNPRUNED",
    "X_AXES",
    "Drawing",
    "accuracy_against",
    "channel_order",
    "class_changes",
    "confusions",
    "contenders",
    "criteria",
    "flow",
    "held_out_curve",
    "kernel_map",
    "ladder",
    "layer_bars",
    "layers_overview",
    "loss_curve",
    "mixes",
    "pareto",
    "reliability",
    "same_size",
    "sensitivity_heatmap",
    "sizes",
    "time_against_work",
    "times_wrong",
    "validation_curve",
    "versus",
    "weight_distribution",
    "when_lost",
    "widths",
]
