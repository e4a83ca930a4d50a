"""The one part of core that knows Streamlit: shared controls, cached loaders, measuring."""

from core.ui.address import drop_what_controls_stumble_over
from core.ui.baseline_panels import show_baseline, show_data, training_form
from core.ui.comparison import show_comparison
from core.ui.icon import page_icon
from core.ui.layers import show_layer_views, show_overview
from core.ui.methods import show_explanation, show_findings
from core.ui.navigation import navigation, run_calmly
from core.ui.presenting import present_control, presented, way_out
from core.ui.presets import preset_control
from core.ui.settings import Settings, current_settings, shared_controls
from core.ui.style import apply_style
from core.ui.tour import show_tour, tour_banner
from core.ui.workbench import Workbench, open_workbench

__all__ = [
    "Settings",
    "Workbench",
    "apply_style",
    "current_settings",
    "drop_what_controls_stumble_over",
    "navigation",
    "open_workbench",
    "page_icon",
    "present_control",
    "presented",
    "preset_control",
    "run_calmly",
    "shared_controls",
    "show_baseline",
    "show_comparison",
    "show_data",
    "show_explanation",
    "show_findings",
    "show_layer_views",
    "show_overview",
    "show_tour",
    "tour_banner",
    "training_form",
    "way_out",
]
