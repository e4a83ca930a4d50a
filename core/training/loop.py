"""The training loop: a generator of progress that can be dropped, killed and resumed."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.device import DTYPES, best_device, resolve_precision
from core.measuring.evaluation import evaluate_fully
from core.networks.network import Network
from core.training.arranged import arranged_for
from core.training.augment import Augmenter
from core.training.averaging import WeightAverage
from core.training.masks import Masks
from core.training.muon import Muon
from core.training.progress import EpochEnd, History, Step
from core.training.recipe import Recipe
from core.training.resume import Place, fingerprint, restore, save_state
from core.training.sharpness import at_sharpest_point
from core.training.split import Split
from core.training.teaching import Teachers

CURVE_POINTS_PER_EPOCH = 20
SECONDS_BETWEEN_EVENTS = 0.1
SECONDS_BETWEEN_SAVES = 30.0


def train(
    network: Network,
    split: Split,
    recipe: Recipe,
    seed: int,
    history: History,
    resume_file: Path | None = None,
    device: torch.device | None = None,
    teachers: Sequence[Network] = (),
    epochs_before: int = 0,
    hold_zeros: bool = False,
) -> Iterator[Step | EpochEnd]:
    """Train the network's module in place and fill `history`; yield progress.

    With `teachers`, their probabilities are the targets instead of smoothed labels. With a
    `resume_file`, the state is saved there after every epoch and every half minute or so, and
    training resumes from a state with the same recipe, seed, images, teachers and initial weights;
    the final weights are the same as without an interruption. The caller deletes the file after
    saving the result. Each epoch uses its own generator, seeded by (seed, epoch). If the recipe
    averages weights, the average is validated once it exists, and is the final network. With
    `hold_zeros`, weights that are zero at the start stay zero after every step.
    """
    device = device or best_device()
    model = network.module
    model.to(device, memory_format=network.memory_format).train()  # type: ignore[call-overload]
    dtype = DTYPES[resolve_precision("auto", device)]
    optimisers = _optimisers(network, recipe, dtype)
    augmenter = Augmenter(
        split.images.to(device),
        recipe.translate,
        recipe.flip,
        seed,
        network.normalisation.grey,
        recipe.cutout,
    )
    labels = split.labels.to(device)
    steps_per_epoch = max(1, len(labels) // recipe.batch_size)
    steps = steps_per_epoch * recipe.epochs
    identity = json.dumps(
        {
            "recipe": recipe.to_json(),
            "seed": seed,
            "images": split.fingerprint(),
            "start": fingerprint(model),
            "epochs_before": epochs_before,
            **({"hold_zeros": True} if hold_zeros else {}),
            "teachers": [fingerprint(teacher.module) for teacher in teachers],
        }
    )
    answers = Teachers(teachers, device, recipe.mirror_teachers) if teachers else None
    smoothing = 0.0 if teachers else recipe.label_smoothing
    average = WeightAverage(network) if recipe.average else None
    masks = Masks.of(network) if hold_zeros else Masks(())
    resumed, random_state = restore(resume_file, identity, model, optimisers, history, average)
    autocast = nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)

    def loss_and_logits(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        with autocast, arranged_for(network, model):
            logits = model(inputs)
            return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing), logits

    for epoch in range(resumed.epoch, recipe.epochs):
        place = resumed if epoch == resumed.epoch else Place(epoch)
        draw = epochs_before + epoch
        generator = torch.Generator().manual_seed(seed * 1_000_003 + draw)
        order = torch.randperm(len(labels), generator=generator)
        # Keep the sums on the device: reading them at each step would stall a GPU.
        loss_sum = torch.tensor(place.loss_sum, device=device)
        correct_sum = torch.tensor(place.correct_sum, device=device)
        window = _Window(steps_per_epoch, place.loss_sum)
        started = last_event = last_save = time.perf_counter()
        if place.step and random_state is not None:
            generator.set_state(random_state)
        for index in range(place.step, steps_per_epoch):
            step = epoch * steps_per_epoch + index
            factor = recipe.rate_factor(step / steps)
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = group["peak_lr"] * factor
            rows = order[index * recipe.batch_size : (index + 1) * recipe.batch_size]
            inputs = network.inputs(augmenter.batch(rows, draw, generator))
            batch_labels = labels[rows.to(device)]
            targets = answers.targets(inputs) if answers else batch_labels
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
            loss, logits = loss_and_logits(inputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            masks.hold_gradients()
            if epoch >= recipe.epochs - recipe.sharpness_aware:
                with at_sharpest_point(model, recipe.sharpness_radius):
                    loss_and_logits(inputs, targets)[0].backward()  # type: ignore[no-untyped-call]
                masks.hold_gradients()
            for optimiser in optimisers:
                optimiser.step()
            masks.hold_weights()
            if average is not None and epoch >= recipe.epochs - recipe.average:
                average.update()
            correct = (logits.detach().argmax(1) == batch_labels).sum()
            loss_sum += loss.detach()
            correct_sum += correct
            if window.ends_at(index):
                done = epoch + (index + 1) / steps_per_epoch
                mean_loss = window.mean(loss_sum.item())
                rate = recipe.learning_rate * factor
                history.curve.append([round(done, 4), round(mean_loss, 4), round(rate, 6)])
            now = time.perf_counter()
            is_within = window.ends_at(index) and index < steps_per_epoch - 1
            if resume_file is not None and is_within and now - last_save >= SECONDS_BETWEEN_SAVES:
                last_save = now
                here = Place(
                    epoch,
                    index + 1,
                    loss_sum.item(),
                    correct_sum.item(),
                    place.seconds + now - started,
                )
                save_state(
                    resume_file, identity, model, optimisers, history, average, here, generator
                )
            if now - last_event >= SECONDS_BETWEEN_EVENTS or index == steps_per_epoch - 1:
                last_event = now
                rate = (index + 1 - place.step) * len(rows) / (now - started)
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
        shown = network
        if average is not None and not average.is_empty:
            shown = average.network(split.images, device)
        end = _end_epoch(
            shown,
            split,
            epoch + 1,
            recipe,
            device,
            loss_sum,
            correct_sum,
            steps_per_epoch,
            started - place.seconds,
        )
        history.epochs.append(asdict(end))
        if resume_file is not None:
            save_state(
                resume_file,
                identity,
                model,
                optimisers,
                history,
                average,
                Place(epoch + 1),
                generator,
            )
        yield end
    if average is not None:
        model.load_state_dict(average.network(split.images, device).module.state_dict())
    model.eval()


def _end_epoch(
    network: Network,
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
        network, split.validation_images, split.validation_labels, device=device
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
    """Computes the mean loss over windows of steps, for the training curve."""

    def __init__(self, steps: int, sum_before: float):
        self._length = max(1, steps // CURVE_POINTS_PER_EPOCH)
        self._sum_before = sum_before

    def ends_at(self, index: int) -> bool:
        return (index + 1) % self._length == 0

    def mean(self, sum_so_far: float) -> float:
        mean = (sum_so_far - self._sum_before) / self._length
        self._sum_before = sum_so_far
        return mean


def _optimisers(
    network: Network, recipe: Recipe, dtype: torch.dtype
) -> list[torch.optim.Optimizer]:
    """Return Muon for convolutions, if the recipe uses it, and SGD with Nesterov momentum."""
    suited = {id(weight) for weight in _suited_to_muon(network)}
    filters, decayed, free = [], [], []
    for parameter in network.module.parameters():
        if recipe.optimiser == "muon" and id(parameter) in suited:
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
        optimisers.append(Muon(filters, recipe.learning_rate, recipe.momentum, dtype))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak_lr"] = group["lr"]
    return optimisers


def _suited_to_muon(network: Network) -> list[Tensor]:
    """Return the filters that Muon may scale and orthogonalise.

    A batch-norm has to take what they give, so that their norm does not matter. In a depthwise
    convolution the filters of different channels have no input in common.
    """
    return [
        layer.weight
        for name, layer in network.layers.items()
        if isinstance(layer, nn.Conv2d)
        and name in network.structure.batch_norm_of
        and (layer.groups == 1 or layer.weight.shape[1] > 1)
    ]
