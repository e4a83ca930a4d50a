"""Baselines: requesting, training and finding them."""
