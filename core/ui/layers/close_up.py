"""The view Close-up: one layer before and after pruning, by both methods."""

import io

import pandas as pd
import streamlit as st
import torch
from PIL import Image
from torch import Tensor

from core import charts
from core.networks.groups import Group, Structure
from core.networks.layers import output_dim, weight_names
from core.pruning import Pruner
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import GRANULARITIES, METHODS
from core.studies import closeup
from core.studies.closeup import CloseUp
from core.ui.bench.resources import FileVersion, load_pruned, load_pruner
from core.ui.bench.workbench import Workbench
from core.ui.layers.seeing import show_what_it_sees
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.gallery import show_picture
from core.ui.parts.plain import plain
from core.ui.parts.tables import show_named_rows
from core.ui.parts.texts import show_remark

CHANNELS = GRANULARITIES[1]
MOST_NAMES = 6


def show_close_up(bench: Workbench, layer: str) -> None:
    """Show a layer's numbers, weight distribution, kernel map and channel ranking."""
    specs = bench.specs()
    st.markdown(f"**{plain(layer)}**, before and after")
    show_named_rows(f"{layer}, before and after", _numbers(bench, specs, layer))
    maps = {name: map_frame(bench.file, spec, layer) for name, spec in specs.items()}
    largest_norm = max(float(cells["norm"].max()) for cells in maps.values())
    downloads: dict[str, tuple[charts.Drawing, pd.DataFrame]] = {}
    for column, (name, spec) in zip(st.columns(len(specs)), specs.items(), strict=True):
        with column:
            bins, threshold = distribution_frame(bench.file, spec, layer)
            distribution = charts.weight_distribution(bins.assign(method=name), threshold)
            show_remark(f"{name}: {_cut_in_words(threshold, int(bins['cut'].sum()))}")
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
                caption = "Kernels in colour; grey: 0, cross: removed filter"
                show_picture(pictures, caption, f"pictures_{name}")
            stem = f"{layer}-{name.lower()}"
            downloads[f"weights-{stem}"] = (distribution, bins)
            downloads[f"kernels-{stem}"] = (kernels, maps[name])
    coupled = coupling(bench.checkpoint.network.structure, layer, specs[CHANNELS].method)
    show_remark(plain(coupled))
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
    gone = frozenset() if order is None else frozenset(order.loc[~order["stays"], "channel"])
    show_what_it_sees(bench, layer, gone)


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


def coupling(structure: Structure, layer: str, method: str) -> str:
    """Describe which layers share this layer's output channels, or why they cannot be pruned."""
    if not METHODS[method].prunes_groups:
        return "Filters of this layer are scored and masked independently of other layers."
    groups = _groups_of(structure, layer)
    held = structure.fixed.get(layer) or structure.computed.get(layer)
    if not groups:
        if not any(layer == name for group in structure.groups for name, _ in group.consumers):
            return held or f"{layer} keeps its output channels."
        return f"{held} Its inputs are removed with the layer before it." if held else ""
    producers = dict.fromkeys(name for group in groups for name in group.producers)
    passing = dict.fromkeys(name for group in groups for name in group.depthwise)
    parts = [] if held is None else [f"{held} The others can be removed."]
    if len(groups) > 1:
        parts.append(f"They belong to {len(groups)} groups, which are pruned separately.")
    others = [name for name in producers if name != layer]
    if any(group.is_residual for group in groups) and others:
        parts.append(
            f"These channels are removed together with those of {_listed(others)}: a residual "
            "addition, or another operation on two tensors, couples them."
        )
    elif others:
        parts.append(f"These channels are removed together with those of {_listed(others)}.")
    depthwise = [name for name in passing if name != layer]
    if layer in passing:
        parts.append("A depthwise layer passes each channel on by itself.")
    elif depthwise:
        parts.append(
            f"They go through {_listed(depthwise)}: a depthwise layer loses the same channels."
        )
    if not others and not passing:
        parts.append(
            "These channels are not coupled with another layer: they can be removed on their own."
        )
    if len(producers) > 1:
        parts.append("The score is the mean over these layers.")
    return " ".join(parts)


def _groups_of(structure: Structure, layer: str) -> list[Group]:
    """Return the groups that a layer's output channels belong to, most often one."""
    return [each for each in structure.groups if layer in (*each.producers, *each.depthwise)]


def _listed(names: list[str]) -> str:
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more layers"


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
    cells = kernel_frame(load_pruner(file), spec, layer)
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


def kernel_frame(pruner: Pruner, spec: PruningSpec, layer: str) -> pd.DataFrame:
    """Return the frame of `charts.kernel_map`, cell by cell."""
    found = closeup.kernel_map(CloseUp.of(pruner, spec, layer))
    rows, columns = found.kept.shape
    kept = found.kept.flatten()
    return pd.DataFrame(
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


@st.cache_data(show_spinner=False, max_entries=256)
def order_frame(file: FileVersion, spec: PruningSpec, layer: str) -> pd.DataFrame | None:
    """Return the frame of `charts.channel_order` without `method`; None if no channel can go."""
    pruner = load_pruner(file)
    baseline = pruner.baseline
    if not METHODS[spec.method].prunes_groups:
        scores = pruner.channel_scores(spec).get(layer)
        if scores is None:
            return None
        weights = pruner.kept_weights(spec, layer).movedim(output_dim(baseline.layers[layer]), 0)
        stays = weights.flatten(1).any(1)
        return _in_order([(torch.arange(len(scores)), scores, stays)])
    weight = weight_names(baseline.module).get(layer, "")
    place = output_dim(baseline.layers[layer])
    kept = pruner.kept_channels(spec)
    parts = []
    for group in _groups_of(baseline.structure, layer):
        scores = pruner.channel_scores(spec).get(group.name)
        if scores is None:
            continue
        channels = torch.from_numpy(group.positions_in(weight, place)[:, 0])
        stays = torch.ones(group.size, dtype=torch.bool)
        if group.name in kept:
            stays = torch.isin(torch.arange(group.size), kept[group.name])
        parts.append((channels, scores, stays))
    return _in_order(parts) if parts else None


def _in_order(groups: list[tuple[Tensor, Tensor, Tensor]]) -> pd.DataFrame:
    """Order the channels of some groups by their scores, each relative to its group's mean.

    Each group has the channels' indices, their scores, and whether they stay.
    """
    tiny = torch.finfo(torch.float32).tiny
    relative = torch.cat([scores / scores.mean().clamp_min(tiny) for _, scores, _ in groups])
    order = relative.sort(stable=True).indices
    return pd.DataFrame(
        {
            "rank": range(len(order)),
            "channel": torch.cat([channels for channels, _, _ in groups])[order].numpy(),
            "score": relative[order].numpy(),
            "stays": torch.cat([stays for _, _, stays in groups])[order].numpy(),
        }
    )


@st.cache_data(show_spinner=False, max_entries=16)
def kernel_pictures(file: FileVersion, spec: PruningSpec, layer: str) -> bytes | None:
    """Return the kernels of the first layer as PNG; None for other layers."""
    close_up = CloseUp.of(load_pruner(file), spec, layer)
    if close_up.weights.ndim != 4 or close_up.weights.shape[1] != 3:
        return None
    content = io.BytesIO()
    Image.fromarray(closeup.kernel_pictures(close_up)).save(content, format="png")
    return content.getvalue()
