"""The Streamlit user interface, the only part of core that imports Streamlit."""

from core.ui.app.address import drop_invalid_parameters
from core.ui.app.icon import page_icon
from core.ui.app.navigation import navigation, run_page
from core.ui.app.presenting import leave_button, present_control, presented
from core.ui.app.style import apply_style
from core.ui.baseline.network import show_network
from core.ui.baseline.panels import import_network, show_baseline, show_data, training_form
from core.ui.bench.workbench import Workbench, open_workbench
from core.ui.choices import show_choices
from core.ui.compare.comparison import show_comparison
from core.ui.efficiency import show_efficiency
from core.ui.layers import show_layer_views, show_overview
from core.ui.methods import show_explanation, show_findings
from core.ui.parts.record import new_record
from core.ui.predictions import show_predictions
from core.ui.recovery import show_recovery
from core.ui.report import offer_report
from core.ui.sidebar.presets import preset_control
from core.ui.sidebar.settings import (
    Settings,
    current_settings,
    shared_controls,
    warn_about_unknown_baseline,
)
from core.ui.tour.tour import show_tour, tour_banner

__all__ = [
    "Settings",
    "Workbench",
    "apply_style",
    "current_settings",
    "drop_invalid_parameters",
    "import_network",
    "leave_button",
    "navigation",
    "new_record",
    "offer_report",
    "open_workbench",
    "page_icon",
    "present_control",
    "presented",
    "preset_control",
    "run_page",
    "shared_controls",
    "show_baseline",
    "show_choices",
    "show_comparison",
    "show_data",
    "show_efficiency",
    "show_explanation",
    "show_findings",
    "show_layer_views",
    "show_network",
    "show_overview",
    "show_predictions",
    "show_recovery",
    "show_tour",
    "tour_banner",
    "training_form",
    "warn_about_unknown_baseline",
]
