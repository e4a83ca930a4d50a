"""A request for a baseline."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.baselines.fit import fitting
from core.data.dataset import DataSet
from core.data.normalisation import CIFAR10_IMAGE_SIZE
from core.errors import InputError
from core.networks.checkpoint import Checkpoint
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.signature import Signature
from core.specs.architecture import Architecture
from core.specs.vocabulary import FOLDER, is_folder
from core.training import Recipe

LARGEST_SEED = 2**32 - 1
LONGEST_NAME = 40  # characters of a folder's name within a file's


@dataclass(frozen=True)
class Request:
    """A request for a baseline."""

    dataset: DataSet = field(compare=False)
    recipe: Recipe
    seed: int = 0
    architecture: Architecture = field(default_factory=Architecture)
    width: int | None = None  # as in Plan
    held_out: int = 0  # training images used for validation instead
    start: Checkpoint | None = None  # provides the initial weights; None draws them from the seed
    teachers: tuple[Checkpoint, ...] = ()  # their probabilities replace the labels as targets

    def __post_init__(self) -> None:
        for role, each in (("start from", self.start), *(("learn from", t) for t in self.teachers)):
            if each is None:
                continue
            if each.metadata.get("kind") != "baseline":
                raise InputError(
                    f"{each.path} holds no baseline, so training cannot {role} it: "
                    "choose a file written by train."
                )
            fitting(self.dataset, each)
        if self.start is not None and not self.describes(self.start.network):
            raise InputError(
                f"{self.start.path} holds a {self.start.network.architecture} with other widths or "
                f"settings than the requested {self.architecture}{self._width_text}, so training "
                "cannot start from it."
            )
        side = self.dataset.image_size
        for what, pixels, most in (
            ("translated by", self.recipe.translate, side // 2),
            ("covered by squares of", self.recipe.cutout, side),
        ):
            if pixels > most:
                raise InputError(
                    f"Images of {side}×{side} pixels can be {what} at most {most} pixels, not "
                    f"{pixels}."
                )
        if self.recipe.mirror_teachers and not self.teachers:
            raise InputError(
                "Only teachers can predict mirror images: name some, or train on the labels."
            )
        if type(self.seed) is not int or not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(
                f"The seed must be a whole number from 0 to {LARGEST_SEED:,}, not {self.seed!r}."
            )

    @property
    def plan(self) -> Plan:
        """The network to build."""
        data = self.dataset
        return Plan(
            Signature(self.architecture, data.classes, data.image_size, data.normalisation),
            self.width,
        )

    def describes(self, network: Network) -> bool:
        """Return whether a network has the requested architecture and shapes."""
        wanted = self.plan.on_meta().state_dict()
        return network.architecture == self.architecture and {
            name: tensor.shape for name, tensor in network.tensors().items()
        } == {name: tensor.shape for name, tensor in wanted.items()}

    @property
    def _width_text(self) -> str:
        return "" if self.width is None else f" of width {self.width}"

    def file_name(self) -> str:
        """Return a name such as resnet18-cifar10-5ep.safetensors, with all non-default settings."""
        settings = "".join(f"-{name}-{value}" for name, value in self.architecture.settings)
        network = re.sub(r"[^\w.-]", "-", f"{self.architecture.name}{settings}")
        parts = [network, *self._dataset_parts(), f"{self.recipe.epochs}ep"]
        if self.recipe.optimiser != "muon":
            parts.append(self.recipe.optimiser)
        if self.plan.reduced_width is not None:
            parts.append(f"w{self.width}")
        if self.seed:
            parts.append(f"seed{self.seed}")
        if self.held_out:
            parts.append(f"held{self.held_out}")
        if self.start is not None:
            parts.append(f"from{self.start.fingerprint[:6]}")
        if self.teachers:
            parts.append("taught" + "".join(each.fingerprint[:6] for each in self.teachers))
        return "-".join(parts) + ".safetensors"

    def _dataset_parts(self) -> list[str]:
        """Return the data set's name; that of a folder is not unique, and may be long."""
        if not is_folder(self.dataset.name):
            return [self.dataset.name]
        name = re.sub(r"[^\w.]+", "-", self.dataset.name.removeprefix(FOLDER))[:LONGEST_NAME]
        size = self.dataset.image_size
        sizes = [] if size == CIFAR10_IMAGE_SIZE else [f"{size}px"]
        return [name.strip("-"), *sizes, self.dataset.fingerprint[:6]]

    def working_name(self) -> str:
        """Return the name for files of an unfinished training, unique to this request.

        Two recipes can have the same `file_name`. With one working name they would overwrite each
        other's saved state.
        """
        decisive = {"recipe": self.recipe.to_json(), "data": self.dataset.fingerprint}
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        return f"{Path(self.file_name()).stem}-{digest[:8]}"


def epochs_in_all(metadata: Mapping[str, Any]) -> int:
    """Return a baseline's epochs, including those of the baselines that it continued from.

    Epochs that are not recorded count as 0.
    """
    before = (metadata.get("started_from") or {}).get("epochs", 0)
    return int(before + metadata.get("epochs", 0))
