"""Looking at training images before a criterion that needs them can prune."""

import streamlit as st

from core.errors import InputError
from core.evidence import kept_identity
from core.networks.checkpoint import Checkpoint
from core.specs.vocabulary import CRITERIA, GRANULARITIES
from core.ui.bench.resources import FileVersion, load_evidence, load_images_for
from core.ui.bench.turns import evaluation_turn
from core.ui.parts.plain import plain
from core.ui.parts.progress import show_progress
from core.ui.sidebar.settings import Settings


def look_at_training_images(file: FileVersion, loaded: Checkpoint, settings: Settings) -> None:
    """Collect what the chosen criteria need, once a baseline; stop the page where that fails."""
    chosen = [CRITERIA[settings.spec(name, settings.ratio).criterion] for name in GRANULARITIES]
    needing = [each.label for each in chosen if each.needs_images]
    if not needing or kept_identity(loaded.network, loaded.fingerprint):
        return
    slot = st.empty()
    try:
        images = load_images_for(loaded, settings.dataset)
    except InputError as error:
        st.info(
            f"The criterion {needing[0]} looks at training images, once a baseline. "
            f"{plain(str(error))} Or choose another criterion in the sidebar.",
            icon=":material/image_search:",
        )
        st.stop()
    with evaluation_turn(slot):
        for event in load_evidence(file, images.fingerprint, images.training).saliency():
            show_progress(slot, f"Looking at training images for {needing[0]}", event)
    slot.empty()
    if not kept_identity(loaded.network, loaded.fingerprint):
        st.warning(
            f"What {needing[0]} needs was collected, but the folder checkpoints/local cannot be "
            "written, so it was lost. Make room or choose another criterion.",
            icon=":material/hard_drive:",
        )
        st.stop()
