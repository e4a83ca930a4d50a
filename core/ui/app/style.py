"""The little that themes cannot say, as CSS."""

import streamlit as st

# The theme's grey for charts has a contrast of 3.8 on white; this is the colour of the page's text.
# The sentences about the slider's position are two or three lines on a wide page, always as high.
# Metrics in a row share it evenly, so that none moves when another's number gets longer.
STYLE = """<style>
[data-testid="stVegaLiteChart"] svg text { fill: currentColor; }
[data-testid="stHorizontalBlock"] > :has(> [data-testid="stMetric"]) { flex: 1 1 0; }
@media (min-width: 640px) { .st-key-tour_banner { flex-wrap: nowrap; } }
.st-key-in_words { min-height: 4.9rem; }
[data-testid="stSidebarHeader"] { height: 2.5rem; margin-bottom: 0; padding-bottom: 0; }
</style>"""


def apply_style() -> None:
    st.html(STYLE)
