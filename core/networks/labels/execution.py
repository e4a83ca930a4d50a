"""One run of a network under a dispatch mode that keeps labels beside all tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.errors import InputError
from core.networks.labels import layers, moves  # noqa: F401 layers registers its rules
from core.networks.labels.operations import RULES, Rule, elementwise, unknown
from core.networks.labels.run import Call, Run, name_of


def execute(run: Run, shape: tuple[int, ...]) -> None:
    """Run the network, on meta and in eval mode, on one example; hold its outputs in place.

    Raises whatever the network's forward does. A dispatch mode belongs to its thread.
    """
    floating = (each.dtype for each in run.module.parameters() if each.is_floating_point())
    with torch.device("meta"), torch.inference_mode(), _names_on_stack(run):
        example = torch.empty(shape, dtype=next(floating, torch.float32))
        run.label(example, run.ledger.anchor("they meet the network's input", shape))
        with _Labelling(run):
            output = run.module(example)
        for tensor in _tensors(output):
            run.use(tensor)
            run.ledger.fix(run.labels(tensor), "they are the network's output", "the output")
        run.hold_misread()


class _Labelling(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps labels beside all tensors, by the rules of the operations.

    In inference mode it sees composite operations, `linear` and `chunk` among them, as they are.
    """

    def __init__(self, run: Run):
        super().__init__()  # type: ignore[no-untyped-call]
        self._run = run

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        rule = _rule_for(func)
        if rule is None:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            rule = moves.move if _is_view(func) else unknown
        self._run.begin(Call(func, args, kwargs, None))
        call = Call(func, args, kwargs, func(*args, **kwargs))
        rule(self._run, call)
        return call.result


def _rule_for(function: OpOverload) -> Rule | None:
    """None where an operation is made of others, returns a view, or is not known."""
    is_pointwise = torch.Tag.pointwise in function.tags
    return RULES.get(name_of(function), elementwise if is_pointwise else None)


def _is_view(function: OpOverload) -> bool:
    arguments = function._schema.arguments
    alias = arguments[0].alias_info if arguments else None
    return alias is not None and not alias.is_write


@contextmanager
def _names_on_stack(run: Run) -> Iterator[None]:
    """Let the run know which module is running. The module is a copy of the run's own."""

    def enter(name: str) -> Any:
        return lambda *_: run.stack.append(name)

    def leave(name: str) -> Any:
        def pop(*_: Any) -> None:
            while run.stack and run.stack.pop() != name:
                pass

        return pop

    handles = []
    for name, module in run.module.named_modules():
        handles.append(module.register_forward_pre_hook(enter(name), prepend=True))
        handles.append(module.register_forward_hook(leave(name)))
    yield
    for handle in handles:
        handle.remove()


def _tensors(output: Any) -> list[Tensor]:
    """All tensors in a network's output, in whatever containers and objects."""
    found = []
    for leaf in tree_leaves(output):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dict__"):
            found += _tensors(list(vars(leaf).values()))
    return found


def refusal(run: Run, shape: tuple[int, ...], error: Exception) -> InputError:
    """One sentence for a person: where the forward failed, and what that means."""
    if isinstance(error, InputError):
        return error
    what = str(error).strip().splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    where = run.running or "the network"
    if "meta" in what:
        return InputError(
            f"The forward of {where} depends on the values of a tensor, so its structure cannot be "
            f"found without an image: let it depend on shapes only ({what})."
        )
    return InputError(f"The forward of {where} fails on one example of shape {shape}: {what}.")
