"""A copy of a network without its numbers."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from core.errors import InputError


def meta_copy(module: nn.Module) -> nn.Module:
    """A copy on the meta device, in eval mode; no number is copied, and the module is not touched.

    Raises InputError for a wrapper of a network and for one that cannot be copied.
    """
    refuse_wrappers(module)
    with torch.inference_mode(False):
        memo = {id(tensor): _on_meta(tensor) for tensor in tensors_of(module)}
        try:
            duplicate = copy.deepcopy(module, memo)
        except Exception as error:
            raise InputError(
                f"The network cannot be copied, since it holds what Python cannot copy ({error}): "
                "remove that from the module first."
            ) from error
    return duplicate.eval()


def tensors_of(module: nn.Module) -> list[Tensor]:
    """Parameters, buffers, and tensors that modules hold as plain attributes."""
    found = [*module.parameters(), *module.buffers()]
    for each in module.modules():
        found += [value for value in vars(each).values() if isinstance(value, Tensor)]
    return found


def _on_meta(tensor: Tensor) -> Tensor:
    if is_lazy(tensor):
        raise InputError(
            "The network has a lazy layer without a shape yet: run it once on an example first."
        )
    empty = torch.empty_like(tensor, device="meta", requires_grad=False)
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty


def refuse_wrappers(module: nn.Module) -> None:
    """Raise InputError for what only passes on to a network, under other names."""
    for name, each in module.named_modules():
        where = f"The layer {name}" if name else "The network"
        if isinstance(each, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise InputError(
                f"{where} is wrapped in {type(each).__name__}: give its .module instead."
            )
        if isinstance(each, torch.jit.ScriptModule):
            raise InputError(f"{where} is compiled by TorchScript: give the Python module instead.")
        if hasattr(each, "_orig_mod"):
            raise InputError(f"{where} is wrapped by torch.compile: give its ._orig_mod instead.")
