"""Measuring a network: its predictions on test images, and its cost."""
