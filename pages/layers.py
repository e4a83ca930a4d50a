"""What pruning does to each layer, and what each layer can bear."""

from core import ui

bench = ui.open_workbench()
with ui.presented(bench, "Which layers are padding, and which are fragile?"):
    layer = ui.show_overview(bench)
    ui.show_layer_views(bench, layer)
