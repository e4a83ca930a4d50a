"""What the page Layers shows, part by part."""

from core.ui.layers.close_up import show_close_up
from core.ui.layers.overview import show_overview
from core.ui.layers.sensitivity import show_sensitivity

__all__ = ["show_close_up", "show_overview", "show_sensitivity"]
