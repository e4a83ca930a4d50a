"""Training on a page, with live charts, progress and the time left."""

import pandas as pd
import streamlit as st

from core import charts
from core.baselines.obtain import Waiting, obtain
from core.baselines.request import Request
from core.data.dataset import DataSet
from core.errors import InputError
from core.measuring.statistics import wilson_interval
from core.networks.checkpoint import Checkpoint
from core.specs.architecture import Architecture
from core.training import EpochEnd, Recipe, Step
from core.ui.bench.turns import yield_to_evaluations
from core.ui.parts.chart import show_chart
from core.ui.parts.plain import plain, warn
from core.ui.parts.progress import duration


def train_live(
    dataset: DataSet, recipe: Recipe, seed: int, architecture: Architecture
) -> Checkpoint | None:
    """Train a baseline, or load it if it exists; return None if that fails.

    Any other interaction with the page stops the training; the next call resumes from where it was
    last saved. Before each step the training waits for evaluations of other viewers.
    """
    bar = st.progress(0.0, "Preparing …")
    waiting = st.empty()
    left, right = st.columns(2)
    loss_slot, accuracy_slot = left.empty(), right.empty()
    steps: list[dict[str, float]] = []
    ends: list[dict[str, float]] = []
    try:
        request = Request(dataset, recipe, seed, architecture)
        for event in yield_to_evaluations(obtain(request), waiting):
            match event:
                case Step():
                    _show_step(bar, event)
                    done = event.step / event.steps * event.epochs
                    steps.append({"epoch": done, "loss": event.loss, "rate": event.learning_rate})
                    loss = charts.loss_curve(_thinned(steps), recipe.epochs)
                    show_chart(loss, None, "The loss so far.", slot=loss_slot)
                case EpochEnd():
                    ends.append(epoch_row(event.epoch, event.correct, event.seen))
                    validation = charts.validation_curve(pd.DataFrame(ends), recipe.epochs)
                    alt = "The validation accuracy after each epoch so far."
                    show_chart(validation, None, alt, slot=accuracy_slot)
                case Waiting(step=step):
                    if step is None:
                        bar.progress(0.0, "Another process trains this baseline; waiting for it …")
                    else:
                        _show_step(bar, step)
                case Checkpoint():
                    bar.progress(1.0, f"Ready: {plain(event.path.name)}")
                    return event
    except InputError as error:
        warn(error)
    return None


def epoch_row(epoch: int, correct: int, seen: int) -> dict[str, float]:
    """Return one row of the frame that `charts.validation_curve` draws."""
    low, high = wilson_interval(correct, seen)
    return {"epoch": epoch, "accuracy": correct / seen, "low": low, "high": high, "seen": seen}


def _show_step(bar: st.delta_generator.DeltaGenerator, step: Step) -> None:
    bar.progress(
        step.step / step.steps,
        f"Epoch {step.epoch} of {step.epochs} · loss {step.loss:.2f} · "
        f"{step.images_per_second:,.0f} images/s · {duration(step.seconds_left)} left",
    )


def _thinned(steps: list[dict[str, float]], most: int = 400) -> pd.DataFrame:
    """Return at most `most` evenly spaced steps, including the last one."""
    every = -(-len(steps) // most)
    return pd.DataFrame(steps[::-1][::every][::-1])
