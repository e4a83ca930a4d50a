"""The content of the page Layers."""

from core.ui.layers.overview import show_overview
from core.ui.layers.views import show_layer_views

__all__ = ["show_layer_views", "show_overview"]
