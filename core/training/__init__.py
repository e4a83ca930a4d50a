"""The training loop and its recipes."""

from core.training.loop import train
from core.training.progress import EpochEnd, History, Step
from core.training.recipe import Recipe, default_recipe
from core.training.split import Split

__all__ = ["EpochEnd", "History", "Recipe", "Split", "Step", "default_recipe", "train"]
