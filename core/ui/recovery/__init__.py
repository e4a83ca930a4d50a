"""The content of the page Recovery."""

from core.ui.recovery.ladder import show_recovery

__all__ = ["show_recovery"]
