"""The views of a layer below the overview, as tabs."""

from core.ui.bench.workbench import Workbench
from core.ui.layers.budget import show_budget
from core.ui.layers.by_hand import show_by_hand
from core.ui.layers.close_up import show_close_up
from core.ui.layers.reordering import show_reordering
from core.ui.layers.sensitivity import show_sensitivity
from core.ui.parts.tabs import show_tabs


def show_layer_views(bench: Workbench, layer: str) -> None:
    """Draw the tabs; only the open one is computed."""
    show_tabs(
        "view",
        {
            "Sensitivity": lambda: show_sensitivity(bench, layer),
            "Close-up": lambda: show_close_up(bench, layer),
            "Reordering": lambda: show_reordering(bench, layer),
            "By hand": lambda: show_by_hand(bench),
            "Budget": lambda: show_budget(bench),
        },
    )
