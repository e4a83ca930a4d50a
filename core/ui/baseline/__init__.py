"""What the page Baseline shows."""
