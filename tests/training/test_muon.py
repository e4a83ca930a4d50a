"""Muon against the singular value decomposition and against PyTorch's own Muon."""

import pytest
import torch
from torch import Tensor, nn

from core.training.muon import Muon, orthogonalise


def random_matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


SHAPES = [(8, 72), (16, 144), (64, 576), (256, 1152), (72, 8), (144, 16), (512, 128)]


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("dtype", "left"), [(torch.bfloat16, 0.05), (torch.float32, 1e-5)])
def test_orthogonalising_keeps_singular_vectors_and_evens_out_values(
    rows: int, columns: int, scale: float, dtype: torch.dtype, left: float
) -> None:
    matrix = random_matrix(rows, columns) * scale
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    # Diagonal where the singular vectors are kept, up to what `dtype` leaves.
    between = u.T @ orthogonalise(matrix, dtype) @ vh.T
    values = between.diagonal()
    assert values.min() > 0.5
    assert values.max() < 1.3
    assert (between - values.diag()).abs().max() < left


def test_more_steps_reach_smaller_singular_values() -> None:
    matrix = random_matrix(64, 64)  # square, so that some are close to 0
    smallest = [
        torch.linalg.svdvals(orthogonalise(matrix, torch.bfloat16, steps)).min()
        for steps in (1, 2, 3, 4)
    ]
    assert smallest == sorted(smallest)
    assert smallest[0] < smallest[-1]


def test_orthogonalising_leaves_its_argument_and_keeps_type() -> None:
    matrix = random_matrix(4, 9)
    before = matrix.clone()
    assert orthogonalise(matrix, torch.bfloat16).dtype == matrix.dtype
    assert torch.equal(matrix, before)


def test_nothing_comes_of_nothing() -> None:
    assert torch.equal(orthogonalise(torch.zeros(4, 9), torch.bfloat16), torch.zeros(4, 9))


def test_steps_are_those_of_pytorchs_muon_on_a_filter_bank_of_fixed_norm() -> None:
    """PyTorch averages its momentum instead of summing it: another length, the same direction."""
    filters = nn.Parameter(random_matrix(16, 144).view(16, 16, 3, 3) * 3)
    matrix = nn.Parameter(filters.detach().flatten(1).clone())
    ours = Muon([filters], lr=0.1, momentum=0.9, dtype=torch.bfloat16)
    theirs = torch.optim.Muon([matrix], lr=0.1, momentum=0.9, weight_decay=0.0, ns_steps=3)
    for step in range(6):
        gradient = random_matrix(16, 144, seed=step + 1)
        filters.grad = gradient.view_as(filters).clone()
        matrix.grad = gradient.clone()
        ours.step()
        matrix.data *= 4 / matrix.data.norm()  # sqrt(16)
        theirs.step()  # type: ignore[no-untyped-call]
    apart = (filters.detach().flatten(1) - matrix.detach()).norm()
    assert apart < 0.1 * (0.1 * 4)  # of one step's length; bf16 accounts for half of it


def test_momentum_is_nesterovs() -> None:
    """A direct transcription: the buffer sums, the step looks one gradient ahead."""
    parameter = nn.Parameter(random_matrix(8, 72))
    expected = parameter.detach().clone()
    optimiser = Muon([parameter], lr=0.3, momentum=0.7, dtype=torch.float32)
    buffer = torch.zeros(8, 72)
    for step in range(3):
        gradient = random_matrix(8, 72, seed=step + 1)
        parameter.grad = gradient.clone()
        optimiser.step()
        buffer = 0.7 * buffer + gradient
        expected = expected * 8**0.5 / expected.norm() - 0.3 * orthogonalise(
            gradient + 0.7 * buffer, torch.float32
        )
        torch.testing.assert_close(parameter.detach(), expected, atol=1e-5, rtol=0)


def test_a_step_of_length_zero_scales_the_norm_to_the_root_of_the_filters() -> None:
    filters = nn.Parameter(random_matrix(25, 90).view(25, 10, 3, 3))
    before = filters.detach().clone()
    filters.grad = torch.ones_like(filters)
    Muon([filters], lr=0.0, momentum=0.9, dtype=torch.bfloat16).step()
    torch.testing.assert_close(filters.detach(), before * 5 / before.norm())


def test_a_parameter_without_gradient_is_left_alone() -> None:
    parameter = nn.Parameter(random_matrix(4, 9))
    before = parameter.detach().clone()
    Muon([parameter], lr=0.1, momentum=0.9, dtype=torch.bfloat16).step()
    assert torch.equal(parameter.detach(), before)


def test_a_closure_is_refused() -> None:
    optimiser = Muon([nn.Parameter(random_matrix(2, 2))], 0.1, 0.9, torch.float32)
    with pytest.raises(ValueError, match="closure"):
        optimiser.step(lambda: 0.0)
