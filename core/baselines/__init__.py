"""Baselines: asked for, trained once, found again."""
