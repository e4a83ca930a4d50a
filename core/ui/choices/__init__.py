"""The content of the page Choices."""

from core.ui.choices.views import show_choices

__all__ = ["show_choices"]
