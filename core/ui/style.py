"""The little that themes cannot say, as CSS."""

import streamlit as st

# The theme's grey for charts has a contrast of 3.8 on white; this is the colour of the page's text.
CHART_TEXT = """<style>
[data-testid="stVegaLiteChart"] svg text { fill: currentColor; }
</style>"""


def style_charts() -> None:
    """Make the type in all charts as legible as that around them."""
    st.html(CHART_TEXT)
