"""Which baseline is asked for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.data.dataset import DataSet
from core.errors import InputError
from core.networks.checkpoint import Checkpoint
from core.networks.resnet import Widths
from core.training import Recipe

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Request:
    """Which baseline is asked for."""

    dataset: DataSet = field(compare=False)
    recipe: Recipe
    seed: int = 0
    widths: Widths = field(default_factory=Widths.regular)
    held_out: int = 0  # training images that do not train but validate
    start: Checkpoint | None = None  # whose weights training starts from; drawn by the seed if None
    teachers: tuple[Checkpoint, ...] = ()  # whose answers are learnt instead of the labels

    def __post_init__(self) -> None:
        for role, each in (("start from", self.start), *(("learn from", t) for t in self.teachers)):
            if each is not None and each.metadata.get("kind") != "baseline":
                raise InputError(
                    f"{each.path} holds no baseline, so training cannot {role} it: "
                    "choose one that train has written."
                )
        if self.start is not None and self.start.model.widths != self.widths:
            raise InputError(
                f"{self.start.path} has the widths {self.start.model.widths.streams}, so training "
                f"a network of {self.widths.streams} cannot start from it."
            )
        if self.recipe.mirror_teachers and not self.teachers:
            raise InputError(
                "Only teachers can answer mirror images: name some, or learn the labels as usual."
            )
        if type(self.seed) is not int or not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(
                f"The seed must be a whole number from 0 to {LARGEST_SEED:,}, not {self.seed!r}."
            )

    def file_name(self) -> str:
        """Such as resnet18-cifar10-5ep.safetensors; departures from the usual are named."""
        parts = ["resnet18", self.dataset.name, f"{self.recipe.epochs}ep"]
        if self.recipe.optimiser != "muon":
            parts.append(self.recipe.optimiser)
        if self.widths != Widths.regular():
            parts.append(f"w{self.widths.streams[0]}")
        if self.seed:
            parts.append(f"seed{self.seed}")
        if self.held_out:
            parts.append(f"held{self.held_out}")
        if self.start is not None:
            parts.append(f"from{self.start.fingerprint[:6]}")
        if self.teachers:
            parts.append("taught" + "".join(each.fingerprint[:6] for each in self.teachers))
        return "-".join(parts) + ".safetensors"

    def working_name(self) -> str:
        """What its unfinished training is called; unlike a file's, no other request has this name.

        Two recipes with the same file name would otherwise lose what the other one has behind it.
        """
        decisive = {"recipe": self.recipe.to_json(), "data": self.dataset.fingerprint}
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        return f"{Path(self.file_name()).stem}-{digest[:8]}"


def epochs_in_all(metadata: Mapping[str, Any]) -> int:
    """Of a baseline's training, with those of the baselines that it went on from.

    Epochs that are not recorded count as none.
    """
    before = (metadata.get("started_from") or {}).get("epochs", 0)
    return int(before + metadata.get("epochs", 0))
