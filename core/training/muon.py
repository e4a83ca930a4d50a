"""Muon: momentum with orthogonalised updates, for convolution weights reshaped to matrices.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. torch.optim.Muon
supports only matrices; here a weight (out, in, kh, kw) is reshaped to (out, in*kh*kw). As in the
author's CIFAR-10 speed runs, every weight is first scaled to the norm sqrt(out): a batch-norm
follows, so only the direction matters, and with a fixed norm one learning rate suits all layers.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def orthogonalise(matrix: Tensor, dtype: torch.dtype, steps: int = 3) -> Tensor:
    """Approximate the nearest semi-orthogonal matrix by Newton-Schulz iteration in `dtype`.

    The coefficients of the quintic (Jordan et al.) bring singular values to about 0.7 to 1.2. Every
    iterate is a polynomial of the Gram matrix times the input. So only the small Gram matrix is
    iterated, and the large matrix is multiplied only twice. With squared singular values in bf16,
    at most about 4 `steps` are accurate.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.to(dtype)
    x = x / (x.norm() + 1e-7)
    wide: Tensor = x if x.shape[0] <= x.shape[1] else x.T
    gram = wide @ wide.T
    product = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(steps):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor @ product
        gram = factor @ gram @ factor
    wide = product @ wide
    nearest = wide if x.shape[0] <= x.shape[1] else wide.T
    return nearest.to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with orthogonalised updates; parameters need at least two dimensions.

    bf16 is precise enough as `dtype` for orthogonalising, but on a CPU that only emulates it, it
    takes 50 times as long as float32.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, dtype: torch.dtype
    ):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; a `closure` is not supported."""
        if closure is not None:
            raise ValueError("Muon does not evaluate a closure.")
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(gradient)
                buffer = state["momentum_buffer"]
                buffer.mul_(group["momentum"]).add_(gradient)
                nesterov = gradient.add(buffer, alpha=group["momentum"])
                matrix = nesterov.reshape(len(nesterov), -1)
                update = orthogonalise(matrix, self._dtype).view_as(parameter)
                parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
                parameter.add_(update, alpha=-group["lr"])
