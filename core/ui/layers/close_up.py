"""The view Close-up: one layer before and after pruning, by both methods."""

import io

import pandas as pd
import streamlit as st
from PIL import Image

from core import charts
from core.networks.groups import Structure
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES, METHODS
from core.studies import closeup
from core.studies.closeup import CloseUp
from core.ui.bench.resources import FileVersion, load_pruned, load_pruner
from core.ui.bench.workbench import Workbench
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all

CHANNELS = GRANULARITIES[1]


def show_close_up(bench: Workbench, layer: str) -> None:
    """Show a layer's numbers, weight distribution, kernel map and channel ranking."""
    specs = bench.specs()
    st.markdown(f"**{layer}**, before and after")
    st.table(_numbers(bench, specs, layer))
    maps = {name: map_frame(bench.file, spec, layer) for name, spec in specs.items()}
    largest_norm = max(float(cells["norm"].max()) for cells in maps.values())
    downloads: dict[str, tuple[charts.Drawing, pd.DataFrame]] = {}
    for column, (name, spec) in zip(st.columns(len(specs)), specs.items(), strict=True):
        with column:
            bins, threshold = distribution_frame(bench.file, spec, layer)
            distribution = charts.weight_distribution(bins.assign(method=name), threshold)
            st.caption(f"{name}: {_cut_in_words(threshold, int(bins['cut'].sum()))}")
            show_chart(
                distribution,
                f"distribution_{name}",
                alt=f"The distribution of the weights of {layer}; grey: pruned by {name} pruning.",
            )
            kernels = charts.kernel_map(maps[name], largest_norm)
            show_chart(
                kernels,
                f"kernels_{name}",
                alt=f"The norms of the kernels of {layer} after {name} pruning, output by input "
                "channels; pruned channels come last.",
            )
            if pictures := kernel_pictures(bench.file, spec, layer):
                st.image(pictures, caption="Kernels in colour; grey: 0, cross: removed filter")
            stem = f"{layer}-{name.lower()}"
            downloads[f"weights-{stem}"] = (distribution, bins)
            downloads[f"kernels-{stem}"] = (kernels, maps[name])
    st.caption(_coupling(bench.checkpoint.network.structure, layer, specs[CHANNELS].method))
    order = order_frame(bench.file, specs[CHANNELS], layer)
    if order is not None:
        ranking = charts.channel_order(order.assign(method=CHANNELS))
        show_chart(
            ranking,
            "order",
            alt=f"The channels of {layer} by importance; grey ones are removed.",
        )
        downloads[f"channels-{layer}"] = (ranking, order)
    offer_all(downloads)


def _numbers(bench: Workbench, specs: dict[str, PruningSpec], layer: str) -> pd.DataFrame:
    """Return a table of the layer's weights and MACs, and its share of the whole network."""
    columns = {}
    for name, spec in {"Baseline": None, **specs}.items():
        macs = load_pruned(bench.file, spec).network.macs
        left = _weights_left(bench, spec)
        columns[name] = [
            f"{left[layer]:,}",
            _share(left[layer], sum(left.values())),
            f"{macs[layer] / 1e6:,.1f} M" if macs[layer] >= 1e5 else f"{macs[layer] / 1e3:,.1f} k",
            _share(macs[layer], sum(macs.values())),
        ]
    rows = ("Non-zero weights", "Share of all weights", "MACs executed", "Share of all MACs")
    return pd.DataFrame(columns, index=list(rows))


def _share(part: int, whole: int) -> str:
    """Format a share in percent, with a second decimal below 1%."""
    return f"{part / whole:.1%}" if part >= 0.01 * whole else f"{part / whole:.2%}"


def _weights_left(bench: Workbench, spec: PruningSpec | None) -> dict[str, int]:
    if spec is None:
        layers = load_pruned(bench.file, PruningSpec("fine", 0.0)).layers
        return {layer.name: layer.weights for layer in layers}
    return {layer.name: layer.weights_left for layer in load_pruned(bench.file, spec).layers}


def _cut_in_words(threshold: float | None, cut: int) -> str:
    if not cut:
        return "no weight of this layer is pruned"
    if threshold is None:
        return f"{cut:,} weights are pruned, not by their size alone"
    return f"{cut:,} weights are pruned: all with a magnitude up to {threshold:.3g}"


def _coupling(structure: Structure, layer: str, method: str) -> str:
    """Describe which layers share this layer's output channels, or why they cannot be pruned."""
    group = next((each for each in structure.groups if layer in each.producers), None)
    if not METHODS[method].prunes_groups:
        return "Filters of this layer are scored and masked independently of other layers."
    if group is None:
        return f"{structure.fixed[layer]} Its inputs are removed with the layer before it."
    others = [name for name in group.producers if name != layer]
    if not others:
        return (
            "These channels are not coupled with another layer: they can be removed on their own."
        )
    return (
        f"These channels are removed together with those of {', '.join(others)}: a residual "
        "addition couples them. The score is the mean over these layers."
    )


@st.cache_data(show_spinner=False, max_entries=256)
def distribution_frame(
    file: FileVersion, spec: PruningSpec, layer: str
) -> tuple[pd.DataFrame, float | None]:
    """Return the frame of `charts.weight_distribution` without `method`, and the threshold."""
    close_up = CloseUp.of(load_pruner(file), spec, layer)
    found = closeup.histogram(close_up)
    frame = pd.DataFrame(
        {"low": found.edges[:-1], "high": found.edges[1:], "kept": found.kept, "cut": found.cut}
    )
    return frame, close_up.threshold


@st.cache_data(show_spinner=False, max_entries=256)
def map_frame(file: FileVersion, spec: PruningSpec, layer: str) -> pd.DataFrame:
    """Return the frame of `charts.kernel_map`; removed channels become at most two areas."""
    found = closeup.kernel_map(CloseUp.of(load_pruner(file), spec, layer))
    rows, columns = found.kept.shape
    kept = found.kept.flatten()
    cells = pd.DataFrame(
        {
            "top": found.row_edges[:-1].repeat(columns),
            "bottom": found.row_edges[1:].repeat(columns),
            "left": list(found.column_edges[:-1]) * rows,
            "right": list(found.column_edges[1:]) * rows,
            "norm": found.norms.flatten(),
            "kept": kept,
            "state": ["zero" if part == 0 else "stays" for part in kept],
        }
    )
    if not METHODS[spec.method].prunes_groups:
        return cells
    stay = cells[cells["kept"] > 0]
    below, beside = stay["bottom"].max(), stay["right"].max()
    bottom, right = cells["bottom"].max(), cells["right"].max()
    areas = pd.DataFrame(
        [(below, bottom, 0, right), (0, below, beside, right)],
        columns=["top", "bottom", "left", "right"],
    ).assign(norm=0.0, kept=0.0, state="removed")
    return pd.concat(
        [stay, areas[(areas["top"] < areas["bottom"]) & (areas["left"] < areas["right"])]],
        ignore_index=True,
    )


@st.cache_data(show_spinner=False, max_entries=256)
def order_frame(file: FileVersion, spec: PruningSpec, layer: str) -> pd.DataFrame | None:
    """Return the frame of `charts.channel_order` without `method`; None if no channel can go."""
    pruner = load_pruner(file)
    group = next((each for each in pruner.baseline.groups if layer in each.producers), None)
    if group is None:
        return None
    scored = group.name if METHODS[spec.method].prunes_groups else layer
    scores = pruner.channel_scores(spec)[scored]
    stays = pruner.kept_weights(spec, layer).flatten(1).any(1)
    order = scores.sort(stable=True).indices
    return pd.DataFrame(
        {
            "rank": range(len(order)),
            "channel": order.numpy(),
            "score": (scores[order] / scores.mean()).numpy(),
            "stays": stays[order].numpy(),
        }
    )


@st.cache_data(show_spinner=False, max_entries=16)
def kernel_pictures(file: FileVersion, spec: PruningSpec, layer: str) -> bytes | None:
    """Return the kernels of the first layer as PNG; None for other layers."""
    close_up = CloseUp.of(load_pruner(file), spec, layer)
    if close_up.weights.shape[1:2] != (3,):
        return None
    content = io.BytesIO()
    Image.fromarray(closeup.kernel_pictures(close_up)).save(content, format="png")
    return content.getvalue()
