"""The page Recovery: what brings the accuracy back, without and with training."""

from core import ui

bench = ui.open_workbench()
with ui.presented(bench, "What brings the accuracy back?"):
    ui.show_recovery(bench)
