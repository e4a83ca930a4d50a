"""The views of the page Choices, as tabs."""

from core.ui.bench.workbench import Workbench
from core.ui.choices.criteria import show_criteria
from core.ui.choices.mixes import show_mixes
from core.ui.parts.tabs import show_tabs


def show_choices(bench: Workbench) -> None:
    """Draw the tabs; only the open one is computed."""
    show_tabs(
        "choice",
        {"Criteria": lambda: show_criteria(bench), "Hybrid": lambda: show_mixes(bench)},
    )
