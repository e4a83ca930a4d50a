"""The content of the page Tour."""
