"""The page Layers: what pruning removes from each layer, and how sensitive each layer is."""

from core import ui

bench = ui.open_workbench()
with ui.presented(bench, "Which layers can lose weights, and which are sensitive?"):
    layer = ui.show_overview(bench)
    ui.show_layer_views(bench, layer)
