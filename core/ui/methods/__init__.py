"""The content of the page Methods."""

from core.ui.methods.explanation import show_explanation
from core.ui.methods.findings import show_findings

__all__ = ["show_explanation", "show_findings"]
