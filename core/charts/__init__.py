"""Frames in, charts out. Knows column names, nothing of networks and nothing of pages."""

from core.charts.accuracy import CURVES, RECOVERIES, STUDY, X_AXES, accuracy_against
from core.charts.drawing import METHODS, Drawing
from core.charts.layers import sparsity_bars, sparsity_heatmap
from core.charts.training import loss_curve, validation_curve

__all__ = [
    "CURVES",
    "METHODS",
    "RECOVERIES",
    "STUDY",
    "X_AXES",
    "Drawing",
    "accuracy_against",
    "loss_curve",
    "sparsity_bars",
    "sparsity_heatmap",
    "validation_curve",
]
