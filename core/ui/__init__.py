"""The one part of core that knows Streamlit: shared controls, cached loaders, measuring."""

from core.ui.baseline_panels import show_baseline, show_data, training_form
from core.ui.comparison import show_comparison
from core.ui.icon import page_icon
from core.ui.layers import show_layer_views, show_overview
from core.ui.navigation import navigation
from core.ui.presets import preset_control
from core.ui.settings import Settings, current_settings, shared_controls
from core.ui.workbench import Workbench, open_workbench

__all__ = [
    "Settings",
    "Workbench",
    "current_settings",
    "navigation",
    "open_workbench",
    "page_icon",
    "preset_control",
    "shared_controls",
    "show_baseline",
    "show_comparison",
    "show_data",
    "show_layer_views",
    "show_overview",
    "training_form",
]
