"""What a recipe allows, and the course of its learning rate."""

import math
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.training import Recipe, default_recipe


def test_the_linear_schedule_rises_to_its_peak_and_falls_to_zero() -> None:
    recipe = Recipe(epochs=1, schedule="linear", warm_up=0.1)
    progress = np.linspace(0, 1, 201)
    factors = [recipe.rate_factor(float(part)) for part in progress]
    np.testing.assert_allclose(factors, np.interp(progress, [0, 0.1, 1], [0, 1, 0]), atol=1e-12)


def test_the_one_cycle_schedule_is_torchs() -> None:
    steps = 20_000
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1.0, total_steps=steps, pct_start=0.3, final_div_factor=1e9
    )
    recipe = Recipe(epochs=1, schedule="one-cycle", warm_up=0.3)
    for step in range(steps):
        factor = recipe.rate_factor(step / steps)
        assert factor == pytest.approx(scheduler.get_last_lr()[0], abs=1e-3), step
        optimiser.step()
        if step < steps - 1:
            scheduler.step()


def test_the_constant_schedule_rises_and_stays() -> None:
    recipe = Recipe(epochs=1, schedule="constant", warm_up=0.25)
    progresses = (0.0, 0.125, 0.25, 0.6, 0.999)
    assert [recipe.rate_factor(p) for p in progresses] == [0.0, 0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("schedule", ["linear", "one-cycle"])
def test_the_rate_has_one_peak_and_stays_within_it(schedule: str) -> None:
    recipe = Recipe(epochs=1, schedule=schedule, warm_up=0.25)
    factors = np.array([recipe.rate_factor(step / 1000) for step in range(1001)])
    assert (np.diff(factors[:251]) > 0).all()
    assert (np.diff(factors[250:]) < 0).all()
    assert factors[250] == 1
    assert factors[-1] == pytest.approx(0, abs=1e-12)
    assert factors.min() >= 0


def test_a_recipe_without_warm_up_starts_at_its_peak() -> None:
    assert Recipe(epochs=1, warm_up=0.0).rate_factor(0.0) == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", 1001),
        ("epochs", 2.0),
        ("epochs", True),
        ("optimiser", "adam"),
        ("schedule", "staircase"),
        ("batch_size", 1),
        ("batch_size", 64.0),
        ("warm_up", 1.0),
        ("warm_up", -0.1),
        ("translate", 113),
        ("translate", 2.0),
        ("average", -1),
        ("average", 1.0),
        ("average", 1001),
        ("sharpness_aware", 2),
        ("sharpness_aware", True),
        ("sharpness_radius", 0.0),
        ("sharpness_radius", math.inf),
        ("mirror_teachers", 1),
    ],
)
def test_an_impossible_setting_is_refused_in_a_sentence(setting: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"(?i){setting.split('_')[0]}.+{value!r}.*\.$"):
        Recipe(**{"epochs": 1, setting: value})


def test_a_recipe_is_data() -> None:
    recipe = Recipe(epochs=3)
    assert Recipe(**recipe.to_json()) == recipe
    assert hash(Recipe(epochs=3)) == hash(recipe)
    with pytest.raises(FrozenInstanceError):
        recipe.epochs = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("dataset", "epochs", "flip"), [("cifar10", 5, True), ("digits", 5, False)]
)
@pytest.mark.parametrize("optimiser", ["muon", "sgd"])
def test_each_data_set_has_its_recipe(
    dataset: str, epochs: int, flip: bool, optimiser: str
) -> None:
    recipe = default_recipe(dataset, optimiser=optimiser)
    assert (recipe.epochs, recipe.flip, recipe.optimiser) == (epochs, flip, optimiser)
    assert default_recipe(dataset, 3, optimiser).epochs == 3


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [(2, 8, 30), (50, 8, 30), (160, 8, 15), (1300, 64, 15), (2560, 128, 15), (50_000, 128, 5)],
)
@pytest.mark.parametrize(("size", "translate"), [(8, 0), (32, 2), (64, 4), (224, 14)])
def test_own_images_are_trained_on_by_their_number_and_size(
    images: int, batch: int, epochs: int, size: int, translate: int
) -> None:
    recipe = default_recipe("folder:pets", images=images, image_size=size)
    assert (recipe.batch_size, recipe.epochs, recipe.flip) == (batch, epochs, True)
    assert recipe.translate == translate
    assert default_recipe("folder:pets", 3, "sgd", images, size).epochs == 3


def test_cifar100_has_the_recipe_of_cifar10() -> None:
    assert default_recipe("cifar100") == default_recipe("cifar10")


def test_a_recipe_comes_back_from_its_record() -> None:
    recipe = Recipe(epochs=7, optimiser="sgd", learning_rate=0.1, cutout=8, average=2)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json({"epochs": 7}) == Recipe(epochs=7)  # written before there was more
    with pytest.raises(InputError, match="dropout"):
        Recipe.from_json({"epochs": 7, "dropout": 0.5})


def test_an_unknown_optimiser_is_refused() -> None:
    with pytest.raises(InputError, match="There is no optimiser 'adam': choose muon or sgd"):
        default_recipe("cifar10", optimiser="adam")


def test_no_epochs_are_not_the_default() -> None:
    with pytest.raises(InputError, match="epochs"):
        default_recipe("digits", epochs=0)


@pytest.mark.parametrize("optimiser", ["muon", "sgd"])
def test_another_rate_keeps_the_proportion_of_the_two(optimiser: str) -> None:
    usual = default_recipe("cifar10", optimiser=optimiser)
    slower = usual.at_rate(usual.learning_rate / 4)
    assert slower.learning_rate == usual.learning_rate / 4
    assert slower.rest_learning_rate == pytest.approx(usual.rest_learning_rate / 4)
    assert slower.at_rate(usual.learning_rate).to_json() == pytest.approx(usual.to_json())
