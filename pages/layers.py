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
now = pd.concat(
    ui.sparsity_frame(bench.file, settings.spec(name, 0.0), (spec.ratio,)).assign(method=name)
    for name, spec in specs.items()
)
drawn = {
    f"sparsity-{name.lower()}": (
        charts.sparsity_heatmap(frame, layers, specs[name].ratio, name),
        frame,
        f"Heatmap of the sparsity that {name} pruning reaches in each layer at each ratio.",
    )
    for name, frame in frames.items()
}
drawn["sparsity-at-the-slider"] = (
    charts.sparsity_bars(now, layers, "At the slider"),
    now,
    "Bars of each layer's sparsity at the current ratio, for both methods.",
)
for column, (name, (drawing, _frame, alt)) in zip(
    st.columns(len(drawn)), drawn.items(), strict=True
):
    column.vega_lite_chart(spec=drawing.for_page(), width="stretch", key=name, alt=alt)
st.caption(
    "A channel takes its own filter along and, in the next layer, the inputs that read it: a layer "
    "that loses a part r of both keeps (1-r)² of its weights. So at a ratio of 0.5 a layer between "
    "two pruned groups is 75 % sparse."
)
with st.popover("Download", icon=":material/download:"):
    for name, (drawing, frame, _alt) in drawn.items():
        st.caption(name)
        ui.offer_downloads(drawing, frame, name)
