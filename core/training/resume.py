"""The saved state of a training, so that a killed training can resume."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.files import written_atomically
from core.training.averaging import WeightAverage
from core.training.progress import History


def fingerprint(model: nn.Module) -> str:
    """Return the SHA-256 of all tensors of the model."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _momenta(model: nn.Module, optimisers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    return {
        f"momentum.{name}": optimiser.state[parameter]["momentum_buffer"]
        for optimiser in optimisers
        for name, parameter in model.named_parameters()
        if parameter in optimiser.state
    }


def separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the processor that share no memory, as safetensors asks for."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


@dataclass(frozen=True)
class Place:
    """Where a training stands: so many steps into an epoch, both counted from 0."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0  # over the steps of this epoch
    correct_sum: float = 0.0
    seconds: float = 0.0  # spent on this epoch


def save_state(
    path: Path,
    identity: str,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    history: History,
    average: WeightAverage | None,
    place: Place,
    generator: torch.Generator,
) -> None:
    """Save everything that the rest of a training depends on. Raises OSError if it cannot."""
    tensors = {"generator": generator.get_state()}
    tensors |= {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= _momenta(model, optimisers)
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state().items()}
    with written_atomically(path) as temporary:
        save_file(
            separate(tensors),
            temporary,
            metadata={
                "identity": identity,
                "history": json.dumps(asdict(history)),
                "place": json.dumps(asdict(place)),
            },
        )


def restore(
    path: Path | None,
    identity: str,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    history: History,
    average: WeightAverage | None = None,
) -> tuple[Place, Tensor | None]:
    """Restore the saved state; return its place and the state of its random generator.

    Without a state that fits, this is the start.
    """
    start = Place(), None
    if path is None or not path.exists():
        return start
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            if metadata.get("identity") != identity:
                return start
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return start  # treat a damaged file as missing
    weights = _below("model.", tensors)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != shapes:
        return start  # the state of a network with other widths
    model.load_state_dict(weights)
    if average is not None:
        average.restore(_below("average.", tensors))
    parameters = dict(model.named_parameters())
    for optimiser in optimisers:
        members = {id(p) for group in optimiser.param_groups for p in group["params"]}
        for name, parameter in parameters.items():
            if id(parameter) in members and f"momentum.{name}" in tensors:
                buffer = torch.empty_like(parameter)  # keeps channels_last
                optimiser.state[parameter]["momentum_buffer"] = buffer.copy_(
                    tensors[f"momentum.{name}"]
                )
    saved = json.loads(metadata["history"])
    history.epochs[:] = saved["epochs"]
    history.curve[:] = saved["curve"]
    if "place" not in metadata:  # an older version saved whole epochs only
        return Place(len(history.epochs)), None
    return Place(**json.loads(metadata["place"])), tensors["generator"]
