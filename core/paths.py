"""Where the explorer keeps its files."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CHECKPOINTS = ROOT / "checkpoints"
"""Baselines and results: those that ship, and in LOCAL those of this machine."""

LOCAL = "local"
"""The folder in CHECKPOINTS of what was trained and measured here; it is not in git."""

DATA = ROOT / "data"
"""Data sets that were downloaded, and the cache of decoded images."""
