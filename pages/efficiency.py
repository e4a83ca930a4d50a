"""The page Efficiency: what pruning saves, and the network to take away."""

from core import ui

bench = ui.open_workbench()
with ui.presented(bench, "What does it save?"):
    ui.show_efficiency(bench)
