"""How sparse every layer becomes, at every ratio, by both methods."""

import pandas as pd
import streamlit as st

from core import charts, ui

bench = ui.open_workbench()
settings = bench.settings
st.subheader("Where the weights go: sparsity reached, layer by layer")

frames = {name: ui.sparsity_frame(bench.file, settings.spec(name, 0.0)) for name in charts.METHODS}
layers = list(dict.fromkeys(next(iter(frames.values()))["layer"]))
specs = bench.specs()
columns = st.columns(3)
for column, (name, frame) in zip(columns, frames.items(), strict=False):
    column.altair_chart(
        charts.sparsity_heatmap(frame, layers, specs[name].ratio, name),
        width="stretch",
        key=f"heatmap_{name}",
        alt=f"Heatmap of the sparsity that {name} pruning reaches in each layer at each ratio.",
    )
now = pd.concat(
    ui.sparsity_frame(bench.file, settings.spec(name, 0.0), (spec.ratio,)).assign(method=name)
    for name, spec in specs.items()
)
columns[2].altair_chart(
    charts.sparsity_bars(now, layers, "At the slider"),
    width="stretch",
    key="bars",
    alt="Bars of each layer's sparsity at the current ratio, for both methods.",
)
st.caption(
    "A channel takes its own filter along and, in the next layer, the inputs that read it: a layer "
    "that loses a part r of both keeps (1-r)² of its weights. So at a ratio of 0.5 a layer between "
    "two pruned groups is 75 % sparse."
)
