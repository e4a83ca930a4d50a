"""What a channel of the selected layer sees, in the view Close-up."""

from dataclasses import dataclass

import streamlit as st
from torch import Tensor

from core.data.dataset import DataSet
from core.errors import InputError
from core.evidence.excitation import Excitations, excitations
from core.networks.batch_norm import finished
from core.networks.layers import output_dim
from core.ui.bench.resources import FileVersion, load_checkpoint
from core.ui.bench.workbench import Workbench
from core.ui.parts.gallery import Card, framed, show_gallery
from core.ui.parts.plain import plain, warn
from core.ui.parts.texts import show_remark

LOOKED_AT = 1000  # training images
SHOWN = 12
CHANNEL = "channel"


def show_what_it_sees(bench: Workbench, layer: str, gone: frozenset[int]) -> None:
    """Draw the images that excite a channel most, on request; `gone` are those to be removed."""
    watched = bench.checkpoint.network.layers[layer]
    channels = watched.weight.shape[output_dim(watched)]
    st.markdown("**What a channel sees**")
    number, button = st.columns([1, 3], vertical_alignment="bottom")
    if st.session_state.get(CHANNEL, 0) >= channels:  # of a wider layer
        del st.session_state[CHANNEL]
    first = min(gone, default=0)
    channel = int(
        number.number_input("Channel", 0, channels - 1, first, key=CHANNEL, bind="query-params")
    )
    key = f"looked_at_{bench.file}_{layer}"
    if button.button(
        f"Look at {LOOKED_AT:,} training images", key="look", icon=":material/visibility:"
    ):
        st.session_state[key] = True
    if not st.session_state.get(key):
        return
    images = bench.known.images
    if images is None:
        st.info(plain(bench.known.missing_images_reason), icon=":material/image_not_supported:")
        return
    try:
        seen = _seen(bench.file, layer, images.fingerprint, images)
    except InputError as error:
        warn(error)
        return
    excited = seen.excitations.most(channel, SHOWN)
    cards = []
    for each in excited:
        name = images.class_names[int(seen.labels[each.image])]
        picture = framed(seen.images[each.image].movedim(0, -1).numpy(), each.box)
        cards.append(
            Card(picture, f"Training image of the class {name}", (name, f"{each.value:.2f}"))
        )
    show_gallery(cards)
    where = "Framed: where in its map; what it sees around that place is larger. "
    show_remark(
        f"Channel {channel} of {plain(layer)}, which "
        + ("goes" if channel in gone else "stays")
        + f" at this ratio: the {len(cards)} of {LOOKED_AT:,} training images with its largest "
        "outputs in the unpruned network, before the activation. "
        + (where if excited and excited[0].box else "")
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """The training images that were looked at, and what they excite."""

    images: Tensor  # uint8 (N, 3, H, W)
    labels: Tensor
    excitations: Excitations


@st.cache_resource(show_spinner="Looking …", max_entries=4)
def _seen(
    file: FileVersion,
    layer: str,
    data: str,  # noqa: ARG001 the fingerprint of the images, part of the key
    _images: DataSet,
) -> Seen:
    drawn, labels = _images.training.draw_labelled(LOOKED_AT)
    network = load_checkpoint(file).network
    return Seen(drawn, labels, finished(excitations(network, layer, drawn)))
