"""One training loop for the baseline and for fine-tuning, and the recipes it follows."""

from core.training.loop import EpochEnd, History, Split, Step, train
from core.training.recipe import Recipe, default_recipe

__all__ = ["EpochEnd", "History", "Recipe", "Split", "Step", "default_recipe", "train"]
