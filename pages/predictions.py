"""The page Predictions: which images and classes pay for pruning."""

from core import ui

bench = ui.open_workbench()
with ui.presented(bench, "Which images pay?"):
    ui.show_predictions(bench)
