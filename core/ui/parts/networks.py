"""The choice of an architecture."""

from streamlit.delta_generator import DeltaGenerator

from core.networks.architectures.elsewhere import allowed_own_code
from core.networks.registry import ARCHITECTURES
from core.specs.architecture import Architecture

HELP = (
    "One of these, or type torchvision:NAME or timm:NAME for any of their classification models. "
    "Your own code is offered if the app was started with "
    "EXPLORER_NETWORKS=package.module:function."
)


def choose_architecture(
    slot: DeltaGenerator, key: str, unnamed: str | None = None
) -> Architecture | None:
    """Draw the choice; `unnamed` is an option that stands for None, and comes first.

    What is typed is not checked here: building the network raises InputError.
    """
    names = [*ARCHITECTURES, *allowed_own_code()]
    labels = {name: entry.label for name, entry in ARCHITECTURES.items()}
    chosen = slot.selectbox(
        "Network",
        names if unnamed is None else [unnamed, *names],
        format_func=lambda name: labels.get(name, name),
        accept_new_options=True,
        help=HELP,
        key=key,
    )
    return None if chosen is None or chosen == unnamed else Architecture(chosen.strip())
