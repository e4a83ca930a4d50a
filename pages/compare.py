"""The page Compare: both methods at the slider's ratio, and their accuracy at every ratio."""

from core import ui

bench = ui.open_workbench()
with ui.presented(bench, "What does pruning cost, and what does it save?"):
    ui.show_comparison(bench)
