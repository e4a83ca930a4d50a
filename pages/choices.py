"""The page Choices: which criterion, and which mix of both methods."""

from core import ui

bench = ui.open_workbench()
with ui.presented(bench, "Which criterion, and which mix of both methods?"):
    ui.show_choices(bench)
