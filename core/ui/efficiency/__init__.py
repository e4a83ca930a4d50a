"""The content of the page Efficiency."""

from core.ui.efficiency.views import show_efficiency

__all__ = ["show_efficiency"]
