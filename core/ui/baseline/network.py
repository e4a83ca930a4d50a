"""The network of a baseline: its format, the sizes of its layers, and its groups of channels."""

import pandas as pd
import streamlit as st
from torch import nn

from core import charts
from core.charts import Drawing
from core.errors import InputError
from core.formatting import shortener
from core.networks.layers import Layer
from core.networks.network import Network
from core.networks.registry import entry
from core.ui.bench.resources import file_version, load_checkpoint
from core.ui.layers.rows import rows_of
from core.ui.parts.chart import show_chart
from core.ui.parts.downloads import offer_all
from core.ui.parts.plain import plain, warn
from core.ui.parts.tables import show_named_rows
from core.ui.sidebar.settings import Settings

COUPLED = "coupled"
MOST_BARS = 100  # of single layers; a longer chart is not read


def show_network(settings: Settings) -> None:
    """Show the sidebar's network; nothing if there is no baseline."""
    if settings.baseline is None:
        return
    try:
        network = load_checkpoint(file_version(settings.baseline)).network
    except InputError as error:
        warn(error)
        return
    st.subheader("The network")
    facts = {name: [plain(text)] for name, text in describe_network(network).items()}
    described = pd.DataFrame.from_dict(facts, orient="index", columns=["What it is"])
    show_named_rows("The network", described, has_header=False)
    frame = layer_frame(network)
    downloads: dict[str, tuple[Drawing, pd.DataFrame]] = {}
    names = {"parameters": "parameters", "macs": "multiply-accumulates"}
    for column, (quantity, what) in zip(st.columns(2), names.items(), strict=True):
        drawing = charts.layer_bars(frame, quantity)
        largest = frame.sort_values(quantity).iloc[-1]
        show_chart(
            drawing,
            f"network_{quantity}",
            slot=column,
            alt=f"The {what} of each of {len(frame)} layers; {largest['layer']} has the most, "
            f"{largest[quantity]:,}.",
        )
        downloads[f"layers-{quantity}"] = (drawing, frame)
    offer_all(downloads)
    groups = group_frame(network)
    with st.expander(f"Groups of channels that are removed together ({len(groups)})"):
        st.caption(
            "A group is the set of channels that an operation ties: removing one of them removes "
            f"it from every layer of the group. *{COUPLED.capitalize()}*: a residual addition, or "
            "another operation on two tensors, ties them; the scope *internal* leaves those alone."
        )
        st.dataframe(groups, hide_index=True)
    structure = network.structure
    reasons = dict.fromkeys([*structure.fixed.values(), *structure.computed.values()])
    with st.expander(f"What cannot be removed, and why ({len(reasons)})"):
        for reason in reasons:
            st.text(reason)


def describe_network(network: Network) -> dict[str, str]:
    """Return what is known of a network's format and size, by name."""
    signature, architecture = network.signature, network.architecture
    label = entry(architecture).label
    named = architecture.name if label == architecture.name else f"{label} ({architecture.name})"
    settings = ", ".join(f"{name} {value}" for name, value in architecture.settings)
    size, colours = signature.image_size, len(signature.normalisation.mean)
    layers = network.layers
    depthwise = sum(kind_of(layer).startswith("depthwise") for layer in layers.values())
    parameters = sum(parameter.numel() for parameter in network.module.parameters())
    coupled = sum(group.is_residual for group in network.groups)
    return {
        "Architecture": named,
        "Settings": settings or "none",
        "Input": f"{size} × {size} pixels, " + ("grey" if colours == 1 else f"{colours} colours"),
        "Normalisation": f"mean {_numbers(signature.normalisation.mean)}; "
        f"standard deviation {_numbers(signature.normalisation.std)}",
        "Classes": f"{network.classes:,}",
        "Parameters": f"{parameters:,}",
        "MACs for one image": f"{sum(network.macs.values()):,}",
        "Layers that can be pruned": f"{len(layers)} convolutions and linear layers"
        + (f", {depthwise} of them depthwise" if depthwise else ""),
        "Groups of channels": f"{len(network.groups)}, {coupled or 'none'} of them {COUPLED}",
    }


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def layer_frame(network: Network) -> pd.DataFrame:
    """Return the frame of `charts.layer_bars`; blocks of layers where there are very many."""
    short = shortener(network.layers)
    frame = pd.DataFrame(
        {
            "layer": name,
            "row": short(name),
            "kind": kind_of(layer),
            "parameters": sum(parameter.numel() for parameter in layer.parameters()),
            "macs": network.macs[name],
        }
        for name, layer in network.layers.items()
    )
    if len(frame) <= MOST_BARS:
        return frame
    blocks = rows_of(list(network.layers)).rows
    return pd.DataFrame(
        {
            "layer": block.key,
            "row": block.label,
            "kind": f"{len(block.layers)} layers",
            **frame[frame["layer"].isin(block.layers)][["parameters", "macs"]].sum(),
        }
        for block in blocks
    )


def kind_of(layer: Layer) -> str:
    """Describe a layer, such as 3×3 convolution, 64 to 128 channels."""
    if isinstance(layer, nn.Linear):
        return f"linear, {layer.in_features:,} to {layer.out_features:,}"
    size = "×".join(map(str, layer.kernel_size))
    transposed = "transposed " if layer.transposed else ""
    channels = f"{layer.in_channels:,} to {layer.out_channels:,} channels"
    if 1 < layer.groups == layer.in_channels:
        return f"depthwise {size} {transposed}convolution, {channels}"
    groups = f" in {layer.groups} groups" if layer.groups > 1 else ""
    return f"{size} {transposed}convolution{groups}, {channels}"


def group_frame(network: Network) -> pd.DataFrame:
    """Return a row for each group of channels."""
    return pd.DataFrame(
        [
            (
                group.name,
                group.size,
                ", ".join(dict.fromkeys([*group.producers, *group.depthwise])),
                COUPLED if group.is_residual else "",
            )
            for group in network.groups
        ],
        columns=["Group", "Channels", "Layers", "Residual or the like"],
    )
