"""Sharpness-aware steps against their formula, worked out by hand in float64."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from core.networks.checkpoint import Checkpoint
from core.networks.network import Network
from core.training import EpochEnd, History, Recipe, Split, loop, train
from core.training.sharpness import at_sharpest_point
from tests.small_networks import Widths, copy_of_state, new_network, random_network, same_state

RECIPE = Recipe(epochs=3, batch_size=64, flip=False, sharpness_aware=2)


class Bowl(nn.Module):
    """The loss x.Ax/2 + y.By/2, whose gradient at any point is (Ax, By)."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        self.y = nn.Parameter(torch.tensor([[0.5]], dtype=torch.float64))
        self.unused = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.a = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)

    def forward(self) -> Tensor:
        return self.x @ self.a @ self.x / 2 + 4 * (self.y**2).sum() / 2


def test_the_gradient_is_that_of_the_point_a_radius_up_the_joint_gradient() -> None:
    bowl = Bowl()
    before = copy_of_state(bowl)
    bowl().backward()
    x, y = bowl.x.detach().clone(), bowl.y.detach().clone()
    gx, gy = bowl.a @ x, 4 * y
    length = (gx.square().sum() + gy.square().sum()).sqrt()
    with at_sharpest_point(bowl, 0.7):
        assert torch.allclose(bowl.x, x + 0.7 * gx / length, atol=1e-10)
        bowl().backward()
    assert bowl.x.grad is not None
    assert bowl.y.grad is not None
    torch.testing.assert_close(bowl.x.grad, bowl.a @ (x + 0.7 * gx / length))
    torch.testing.assert_close(bowl.y.grad, 4 * (y + 0.7 * gy / length))
    assert bowl.unused.grad is None
    assert same_state(bowl.state_dict(), before)


def test_at_a_stationary_point_nothing_moves() -> None:
    bowl = Bowl()
    nn.init.zeros_(bowl.x)
    nn.init.zeros_(bowl.y)
    bowl().backward()
    with at_sharpest_point(bowl, 0.7):
        assert bowl().item() == 0
        bowl().backward()
    assert bowl.x.grad is not None
    assert torch.equal(bowl.x.grad, torch.zeros(2, dtype=torch.float64))


def test_a_network_is_left_bit_for_bit_statistics_included() -> None:
    model = new_network().module.train()
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model(images).square().sum().backward()
    before = copy_of_state(model)
    with at_sharpest_point(model, 0.1):
        inside = model(images).square().sum()
    assert same_state(model.state_dict(), before)
    assert inside > model(images).square().sum()  # the loss rose
    assert not same_state(model.state_dict(), before)  # and batch-norm records again

    model(images).square().sum().backward()
    with pytest.raises(RuntimeError, match="channels"), at_sharpest_point(model, 0.1):
        model(images[:, :1])
    model.eval()
    assert all(m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_the_last_epochs_alone_take_two_passes_a_step(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[float] = []
    model = new_network()

    def noting(model: nn.Module, radius: float):  # type: ignore[no-untyped-def]
        entered.append(radius)
        return at_sharpest_point(model, radius)

    monkeypatch.setattr(loop, "at_sharpest_point", noting)
    steps = len(split.labels) // RECIPE.batch_size
    recipe = replace(RECIPE, sharpness_radius=0.3)
    so_far = [
        len(entered)
        for event in train(model, split, recipe, 0, History())
        if isinstance(event, EpochEnd)
    ]
    assert so_far == [0, steps, 2 * steps]
    assert set(entered) == {0.3}


def test_a_vanishing_radius_is_plain_training(split: Split) -> None:
    weights = []
    for aware, radius in ((0, 0.1), (3, 1e-30), (3, 0.1)):
        # Not new: there batch-norm's zeros put activations on ReLU's kink, where no step is small.
        model = random_network(Widths.regular(4), seed=0)
        # Not Muon, which takes a full step along a gradient however small.
        sgd = replace(RECIPE, optimiser="sgd", learning_rate=0.05)
        recipe = replace(sgd, sharpness_aware=aware, sharpness_radius=radius)
        list(train(model, split, recipe, 0, History()))
        weights.append(copy_of_state(model.module))
    plain, vanishing, sharp = weights
    assert same_state(plain, vanishing)
    assert not same_state(plain, sharp)


def test_sharpness_aware_steps_learn_from_teachers_in_both_passes(
    trained: Checkpoint, split: Split
) -> None:
    """Within a vanishing radius the second pass is the first, so its targets must be the same."""

    def weights(aware: int, radius: float, teachers: list[Network]) -> dict[str, Tensor]:
        model = random_network(Widths.regular(4), seed=0)
        sgd = replace(RECIPE, optimiser="sgd", learning_rate=0.05)
        recipe = replace(sgd, sharpness_aware=aware, sharpness_radius=radius)
        list(train(model, split, recipe, 0, History(), teachers=teachers))
        return copy_of_state(model.module)

    taught = weights(0, 0.1, [trained.network])
    assert same_state(weights(3, 1e-30, [trained.network]), taught)
    sharp = weights(3, 0.1, [trained.network])
    assert not same_state(sharp, taught)
    assert not same_state(sharp, weights(3, 0.1, []))
