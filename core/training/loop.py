"""The training loop: a generator of progress that can be dropped, killed and resumed."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from core.data import DataSet, normalise, subset_indices
from core.device import best_device, has_native_bf16
from core.errors import InputError
from core.evaluation import evaluate_fully
from core.files import written_atomically
from core.training.augment import Augmenter
from core.training.muon import Muon
from core.training.recipe import Recipe

CURVE_POINTS_PER_EPOCH = 20
SECONDS_BETWEEN_EVENTS = 0.1


@dataclass(frozen=True)
class Split:
    """Training images and the images that the accuracy after each epoch is measured on."""

    images: Tensor  # uint8 (N, 3, 32, 32)
    labels: Tensor  # int64 (N,)
    validation_images: Tensor
    validation_labels: Tensor

    @classmethod
    def holding_out(cls, dataset: DataSet, held_out: int) -> "Split":
        """All training images but `held_out` of them, which validate; stratified, seed 0.

        With `held_out` 0 everything trains, and up to 2,000 test images draw the curve.
        """
        if held_out == 0:
            size = min(2000, len(dataset.test_labels))
            chosen = subset_indices(dataset.test_labels, size)
            return cls(
                dataset.train_images,
                dataset.train_labels,
                dataset.test_images[chosen],
                dataset.test_labels[chosen],
            )
        if held_out > len(dataset.train_labels) // 2:
            raise InputError(
                f"{held_out:,} images cannot be held out of {len(dataset.train_labels):,}: "
                "leave at least half of them to train on."
            )
        chosen = subset_indices(dataset.train_labels, held_out)
        kept = torch.ones(len(dataset.train_labels), dtype=torch.bool)
        kept[chosen] = False
        return cls(
            dataset.train_images[kept],
            dataset.train_labels[kept],
            dataset.train_images[chosen],
            dataset.train_labels[chosen],
        )


@dataclass(frozen=True)
class Step:
    """One optimiser step done. Loss and accuracy are those of its training batch."""

    epoch: int  # 1 to epochs
    epochs: int
    step: int  # of all epochs, 1 to steps
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class EpochEnd:
    """One epoch done, and saved where the training is resumable."""

    epoch: int
    epochs: int
    loss: float  # mean over the epoch's training images, as augmented
    accuracy: float  # over the same
    correct: int  # of the validation images
    seen: int
    seconds: float


@dataclass
class History:
    """The course of a training."""

    epochs: list[dict[str, float]] = field(default_factory=list)  # one EpochEnd each
    curve: list[list[float]] = field(default_factory=list)  # [epochs done, loss, rate] each


def train(
    model: nn.Module,
    split: Split,
    recipe: Recipe,
    seed: int,
    history: History,
    resume_file: Path | None = None,
    device: torch.device | None = None,
) -> Iterator[Step | EpochEnd]:
    """Train `model` in place and fill `history`; yield progress.

    With a `resume_file` the state is saved there after every epoch, and a training that finds its
    own state there goes on from it: the same recipe, seed and images end in the same weights. The
    caller removes the file once it has kept the result. Each epoch draws from a generator of its
    own, seeded by (seed, epoch), so nothing random needs saving.
    """
    device = device or best_device()
    model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimisers = _optimisers(model, recipe)
    augmenter = Augmenter(split.images.to(device), recipe.translate, recipe.flip, seed)
    labels = split.labels.to(device)
    steps_per_epoch = max(1, len(labels) // recipe.batch_size)
    steps = steps_per_epoch * recipe.epochs
    identity = json.dumps({"recipe": recipe.to_json(), "seed": seed, "images": _digest(split)})
    first_epoch = _restore(resume_file, identity, model, optimisers, history)
    autocast = (
        torch.autocast(device.type, torch.bfloat16) if has_native_bf16(device) else nullcontext()
    )

    for epoch in range(first_epoch, recipe.epochs):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        order = torch.randperm(len(labels), generator=generator)
        # Sums stay on the device: reading them at each step would make a GPU wait.
        loss_sum = torch.zeros((), device=device)
        correct_sum = torch.zeros((), device=device)
        window = _Window(steps_per_epoch)
        started = last_event = time.perf_counter()
        for index in range(steps_per_epoch):
            step = epoch * steps_per_epoch + index
            factor = recipe.rate_factor(step / steps)
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = group["peak_lr"] * factor
            rows = order[index * recipe.batch_size : (index + 1) * recipe.batch_size]
            inputs = normalise(augmenter.batch(rows, epoch, generator))
            targets = labels[rows.to(device)]
            with autocast:
                logits = model(inputs)
                loss = F.cross_entropy(
                    logits.float(), targets, label_smoothing=recipe.label_smoothing
                )
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            for optimiser in optimisers:
                optimiser.step()
            correct = (logits.detach().argmax(1) == targets).sum()
            loss_sum += loss.detach()
            correct_sum += correct
            if window.ends_at(index):
                done = epoch + (index + 1) / steps_per_epoch
                mean_loss = window.mean(loss_sum.item())
                rate = recipe.learning_rate * factor
                history.curve.append([round(done, 4), round(mean_loss, 4), round(rate, 6)])
            now = time.perf_counter()
            if now - last_event >= SECONDS_BETWEEN_EVENTS or index == steps_per_epoch - 1:
                last_event = now
                rate = (index + 1) * len(rows) / (now - started)
                yield Step(
                    epoch=epoch + 1,
                    epochs=recipe.epochs,
                    step=step + 1,
                    steps=steps,
                    loss=loss.item(),
                    accuracy=correct.item() / len(rows),
                    learning_rate=recipe.learning_rate * factor,
                    images_per_second=rate,
                    seconds_left=(steps - step - 1) * len(rows) / rate,
                )
        end = _end_epoch(
            model, split, epoch + 1, recipe, device, loss_sum, correct_sum, steps_per_epoch, started
        )
        history.epochs.append(asdict(end))
        if resume_file is not None:
            _save_state(resume_file, identity, model, optimisers, history)
        yield end
    model.eval()


def _digest(split: Split) -> str:
    """The SHA-256 of what is trained on."""
    digest = hashlib.sha256(split.images.cpu().contiguous().numpy().data)
    digest.update(split.labels.cpu().numpy().data)
    return digest.hexdigest()


def _end_epoch(
    model: nn.Module,
    split: Split,
    epoch: int,
    recipe: Recipe,
    device: torch.device,
    loss_sum: Tensor,
    correct_sum: Tensor,
    steps: int,
    started: float,
) -> EpochEnd:
    measured = evaluate_fully(
        model, split.validation_images, split.validation_labels, device=device
    )
    return EpochEnd(
        epoch=epoch,
        epochs=recipe.epochs,
        loss=loss_sum.item() / steps,
        accuracy=correct_sum.item() / (steps * min(recipe.batch_size, len(split.labels))),
        correct=measured.correct,
        seen=measured.seen,
        seconds=time.perf_counter() - started,
    )


class _Window:
    """Means of the loss over stretches of an epoch, for the training curve."""

    def __init__(self, steps: int):
        self._length = max(1, steps // CURVE_POINTS_PER_EPOCH)
        self._sum_before = 0.0

    def ends_at(self, index: int) -> bool:
        return (index + 1) % self._length == 0

    def mean(self, sum_so_far: float) -> float:
        mean = (sum_so_far - self._sum_before) / self._length
        self._sum_before = sum_so_far
        return mean


def _optimisers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for convolutions where the recipe says so; SGD with Nesterov momentum for the rest."""
    filters, decayed, free = [], [], []
    for parameter in model.parameters():
        if recipe.optimiser == "muon" and parameter.ndim == 4:
            filters.append(parameter)
        elif parameter.ndim >= 2:
            decayed.append(parameter)
        else:
            free.append(parameter)  # biases and batch-norm
    rest_rate = recipe.rest_learning_rate if recipe.optimiser == "muon" else recipe.learning_rate
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.SGD(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": free, "weight_decay": 0.0},
            ],
            lr=rest_rate,
            momentum=recipe.momentum,
            nesterov=True,
        )
    ]
    if filters:
        optimisers.append(Muon(filters, lr=recipe.learning_rate, momentum=recipe.momentum))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak_lr"] = group["lr"]
    return optimisers


def _momenta(model: nn.Module, optimisers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    return {
        f"momentum.{name}": optimiser.state[parameter]["momentum_buffer"]
        for optimiser in optimisers
        for name, parameter in model.named_parameters()
        if parameter in optimiser.state
    }


def _save_state(
    path: Path,
    identity: str,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    history: History,
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= _momenta(model, optimisers)
    contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    with written_atomically(path) as temporary:
        save_file(
            contiguous,
            temporary,
            metadata={"identity": identity, "history": json.dumps(asdict(history))},
        )


def _restore(
    path: Path | None,
    identity: str,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    history: History,
) -> int:
    """Put the saved state back and return the epochs it has behind it, 0 where there is none."""
    if path is None or not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            if metadata.get("identity") != identity:
                return 0
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return 0  # a damaged state is worth no more than none
    weights = {
        name.removeprefix("model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in weights.items()} != shapes:
        return 0  # of a network of other widths
    model.load_state_dict(weights)
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
    return len(history.epochs)
