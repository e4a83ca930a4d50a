"""The content of the page Predictions."""

from core.ui.predictions.views import show_predictions

__all__ = ["show_predictions"]
