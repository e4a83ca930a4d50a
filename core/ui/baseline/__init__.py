"""The content of the page Baseline."""
