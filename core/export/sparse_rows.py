"""Run layers as products of sparse matrices, which skip the zeros that dense kernels multiply."""

import copy
import warnings

import torch.nn.functional as F
from torch import Tensor, nn


class SparseRowsLinear(nn.Module):
    """A linear layer whose weight is in compressed sparse rows (CSR)."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.weight = _sparse(layer.weight)
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        made = (self.weight @ inputs.flatten(0, -2).T).T.reshape(*inputs.shape[:-1], -1)
        return made if self.bias is None else made + self.bias


class SparseRowsConv(nn.Module):
    """A convolution as a product of its weight, in CSR, with the unfolded inputs."""

    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        assert not isinstance(layer.padding, str)
        self.weight = _sparse(layer.weight.flatten(1))  # (out, in·kh·kw)
        self.bias = layer.bias
        self.kernel, self.stride = layer.kernel_size, layer.stride
        self.padding, self.dilation = layer.padding, layer.dilation

    def forward(self, inputs: Tensor) -> Tensor:
        height, width = (
            (size + 2 * pad - spread * (reach - 1) - 1) // step + 1
            for size, pad, spread, reach, step in zip(
                inputs.shape[-2:],
                self.padding,
                self.dilation,
                self.kernel,
                self.stride,
                strict=True,
            )
        )
        columns = F.unfold(inputs, self.kernel, self.dilation, self.padding, self.stride)
        images, depth, places = columns.shape
        made = self.weight @ columns.movedim(1, 0).reshape(depth, images * places)
        made = made.view(-1, images, height, width).movedim(0, 1)
        return made if self.bias is None else made + self.bias[:, None, None]


def with_sparse_rows(module: nn.Module) -> nn.Module:
    """Return a copy, for inference, whose convolutions and linear layers are in CSR.

    Those in groups, and those whose padding is no number, stay dense.
    """
    copied = copy.deepcopy(module).eval().requires_grad_(False)
    for name, layer in list(copied.named_modules()):
        if type(layer) is nn.Linear:
            copied.set_submodule(name, SparseRowsLinear(layer))
        elif (
            type(layer) is nn.Conv2d
            and layer.groups == 1
            and layer.padding_mode == "zeros"
            and not isinstance(layer.padding, str)
        ):
            copied.set_submodule(name, SparseRowsConv(layer))
    return copied


def _sparse(weight: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return weight.detach().to_sparse_csr()
