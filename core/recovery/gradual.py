"""Gradual pruning: prune a little, train a little, until the ratio is reached."""

import json
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.errors import InputError
from core.evidence import Evidence
from core.files import written_atomically
from core.networks.batch_norm import Recovering
from core.networks.narrow import narrow_groups
from core.networks.network import Network
from core.pruning import Pruned, prune
from core.recovery.tuning import (
    SMALLEST_BATCH,
    Lessons,
    copy_to_train,
    images_of,
    recipe_for,
    settled,
    split_for,
    teachers_of,
    tune,
)
from core.specs.pruning import PruningSpec
from core.specs.recovery import Recovery
from core.specs.vocabulary import CRITERIA, METHODS
from core.training import Recipe, Split
from core.training.resume import fingerprint, separate

WHILE_PRUNING = 0.5
"""The part of the images that is trained on before the last pruning."""
PRUNED_ONCE = ("channel-mask", "hybrid")


def refuse_ungradual(spec: PruningSpec) -> None:
    """Raise InputError for a pruning that cannot be done little by little."""
    if spec.method in PRUNED_ONCE:
        raise InputError(
            f"{METHODS[spec.method].label}: this method prunes at once. Fine-grained pruning and "
            "the removal of channels can be gradual."
        )
    if CRITERIA[spec.criterion].needs_images:
        raise InputError(
            f"{CRITERIA[spec.criterion].label} is known of the baseline only, so it cannot choose "
            "again after training. Take a criterion that looks at weights, such as L1."
        )


def gradual(
    pruned: Pruned,
    recovery: Recovery,
    evidence: Evidence,
    resume_file: Path | None = None,
) -> Generator[Recovering, None, Network]:
    """Prune the baseline again, in `recovery.prunings` steps, and train after each of them.

    Each layer, or group of channels, loses as much in the end as it does at once in `pruned`; until
    then a cubic part of it, which grows fast at first (Zhu and Gupta, "To prune, or not to prune",
    2017). Each step chooses by the weights as they are trained by then. Targets, progress, result
    and `resume_file` are those of `finetune`. Raises InputError as `refuse_ungradual` does.
    """
    spec, training, baseline = pruned.spec, evidence.training, evidence.network
    refuse_ungradual(spec)
    split = split_for(training, recovery)
    whole = recipe_for(recovery.images, len(split.labels), training.can_be_mirrored)
    parts = _parts(split, whole, recovery.prunings)
    recipes = _recipes(whole, parts)
    begins = list(accumulate(map(images_of, recipes, parts), initial=0))
    lessons = Lessons(
        whole,
        recovery.seed,
        teachers_of(recovery, baseline),
        begins[-1],
        evidence.precision,
        evidence.device,
    )
    plan = _Plan(baseline, spec, _lost(pruned, baseline), recovery.prunings)
    plan.check()
    kept = _Kept(resume_file, [plan.identity, recovery.to_json(), training.fingerprint])
    step, network = kept.restored(plan)
    while step < recovery.prunings:
        of_step = replace(lessons, recipe=recipes[step], seed=recovery.seed + step)
        tuned = copy_to_train(network)
        yield from tune(tuned, parts[step], of_step, begins[step], resume_file)
        tuned.module.cpu().requires_grad_(False)
        step += 1
        if step < recovery.prunings:
            network = plan.pruned_further(tuned, step)
            kept.save(network, step)
    return (
        yield from settled(pruned.network.with_module(tuned.module), training, recovery, lessons)
    )


def cubic(step: int, steps: int) -> float:
    """Return the part of the ratio that is reached after so many of the steps, 0 to 1."""
    return 1 - (1 - step / steps) ** 3


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is lost of each layer, or group of channels, at each step."""

    baseline: Network
    spec: PruningSpec
    lost: Mapping[str, tuple[int, int]]  # in the end, and of how many
    prunings: int

    @property
    def identity(self) -> str:
        spec = asdict(self.spec)
        return json.dumps([spec, self.prunings, fingerprint(self.baseline.module)], sort_keys=True)

    def pruned_further(self, network: Network, step: int) -> Network:
        """Prune a network of an earlier step, or the baseline, by the weights that it has.

        Raises InputError where the network does not allow it.
        """
        part = cubic(step + 1, self.prunings)
        goals = {name: size - round(part * lost) for name, (lost, size) in self.lost.items()}
        is_narrowing = METHODS[self.spec.method].prunes_groups
        sizes = {group.name: group.size for group in network.groups}
        if not is_narrowing:
            sizes = {name: size for name, (_, size) in self.lost.items()}
        spec = PruningSpec(
            self.spec.method,
            0.0,
            self.spec.criterion,
            scope=self.spec.scope,
            seed=self.spec.seed,
            overrides=tuple(
                (name, (sizes[name] - goal) / sizes[name]) for name, goal in goals.items()
            ),
        )
        pruned = prune(network, spec)
        if not is_narrowing:
            return pruned.network
        groups = narrow_groups(network.groups, pruned.kept, network.module)
        if any(group.size != goals.get(group.name, group.size) for group in groups):
            raise InputError(
                "This network cannot be pruned gradually: an operation in it takes channels by "
                "their position, and others would go in between. Prune it at once."
            )
        return replace(pruned.network, structure=replace(network.structure, groups=groups))

    def check(self) -> None:
        """Raise InputError where one of the prunings would fail, before anything is trained."""
        network = self.baseline
        for step in range(self.prunings):
            network = self.pruned_further(network, step)


@dataclass(frozen=True)
class _Kept:
    """The network as last pruned, on disk beside the state of its training."""

    resume_file: Path | None
    identity: list[Any]

    def save(self, network: Network, step: int) -> None:
        if self.resume_file is None:
            return
        tensors = separate(network.tensors())
        with written_atomically(file_between(self.resume_file)) as temporary:
            save_file(
                tensors,
                temporary,
                metadata={"identity": json.dumps(self.identity), "step": str(step)},
            )

    def restored(self, plan: _Plan) -> tuple[int, Network]:
        """Return the step and the network that were saved, or the first ones."""
        start = 0, plan.pruned_further(plan.baseline, 0)
        if self.resume_file is None or not file_between(self.resume_file).exists():
            return start
        try:
            with safe_open(file_between(self.resume_file), framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("identity") != json.dumps(self.identity):
                    return start
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return start  # treat a damaged file as missing
        step = int(metadata["step"])
        network = plan.pruned_further(plan.baseline, step)  # of the same shapes
        network.module.load_state_dict(tensors)
        return step, network


def file_between(resume_file: Path) -> Path:
    """Return the file of the network between two trainings, beside that of a training."""
    return resume_file.with_suffix(".between")


def _lost(pruned: Pruned, baseline: Network) -> dict[str, tuple[int, int]]:
    """Return how much each layer, or group of channels, loses, and of how much."""
    if METHODS[pruned.spec.method].prunes_groups:
        sizes = {group.name: group.size for group in baseline.groups}
        found = {name: (sizes[name] - len(kept), sizes[name]) for name, kept in pruned.kept.items()}
    else:
        found = {}
        stored = {name: layer.weight for name, layer in baseline.layers.items()}
        for each in pruned.layers:
            is_new = int((stored[each.name] != 0).sum()) > each.weights_left
            if is_new and not any(stored[each.name] is stored[name] for name in found):
                found[each.name] = (each.weights - each.weights_left, each.weights)
    return {name: (lost, size) for name, (lost, size) in found.items() if lost}


def _parts(split: Split, recipe: Recipe, prunings: int) -> list[Split]:
    """Return the images to train on after each pruning, in the order drawn, pass after pass."""
    drawn = len(split.labels)
    total = recipe.epochs * drawn
    before = int(total * WHILE_PRUNING) // (prunings - 1)
    if before < SMALLEST_BATCH:
        raise InputError(
            f"{total:,} images are too few to train after each of {prunings} prunings: take more, "
            "or prune at once."
        )
    rows = torch.arange(total) % drawn
    sizes = [*[before] * (prunings - 1), total - before * (prunings - 1)]
    return [
        replace(split, images=split.images[chosen], labels=split.labels[chosen])
        for chosen in torch.split(rows, sizes)
    ]


def _recipes(whole: Recipe, parts: list[Split]) -> list[Recipe]:
    """Return the recipes after each pruning: the rate falls after the last one only."""
    return [
        replace(
            whole,
            epochs=1,
            batch_size=min(whole.batch_size, len(part.labels)),
            schedule=whole.schedule if part is parts[-1] else "constant",
        )
        for part in parts
    ]
