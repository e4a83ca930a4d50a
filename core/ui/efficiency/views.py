"""The page Efficiency: what pruning saves, measured, and the network to take away."""

from core.ui.bench.workbench import Workbench
from core.ui.efficiency.frontier import show_frontier
from core.ui.efficiency.sizes import show_sizes
from core.ui.efficiency.taking import show_exports
from core.ui.efficiency.timing import show_times
from core.ui.parts.tabs import show_tabs


def show_efficiency(bench: Workbench) -> None:
    """Draw the tabs; only the open one is computed."""
    show_tabs(
        "efficiency",
        {
            "Time": lambda: show_times(bench),
            "Frontier": lambda: show_frontier(bench),
            "Size": lambda: show_sizes(bench),
            "Take away": lambda: show_exports(bench),
        },
    )
