"""CSS for what a Streamlit theme cannot set."""

import streamlit as st

# Charts use the page's text colour, because the theme's grey has a contrast of only 3.8 on white.
# Numbers that are written on marks let clicks through to them.
# The sentences above the chart get a fixed height, so the chart does not move.
# Metrics in a row have equal widths, so none moves when another's number gets longer. In a window
# too narrow for two cards, as at 150% zoom, their numbers would be cut off: the cards are stacked.
STYLE = """<style>
[data-testid="stVegaLiteChart"] svg text { fill: currentColor; }
[data-testid="stVegaLiteChart"] svg .role-mark text { pointer-events: none; }
[data-testid="stHorizontalBlock"] > :has(> [data-testid="stMetric"]) { flex: 1 1 0; }
@media (max-width: 1150px) {
  [class*="st-key-cards"] [data-testid="stColumn"] { min-width: 100%; }
}
@media (min-width: 640px) and (max-width: 1150px) {
  .st-key-numbers [data-testid="stColumn"] { min-width: 45%; }
}
@media (min-width: 640px) { .st-key-tour_banner { flex-wrap: nowrap; } }
.st-key-in_words { min-height: 4.9rem; }
[data-testid="stSidebarHeader"] { height: 2.5rem; margin-bottom: 0; padding-bottom: 0; }
</style>"""


def apply_style() -> None:
    st.html(STYLE)
