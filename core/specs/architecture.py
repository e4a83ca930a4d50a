"""Which network, by a registered name and its settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """A registered name and the settings that differ from its defaults; hashable.

    What the shapes of the stored tensors say, such as widths, is no setting.
    """

    name: str = "resnet18"
    settings: tuple[tuple[str, Any], ...] = ()  # sorted by name

    @classmethod
    def from_json(cls, value: Any) -> "Architecture":
        """The reverse of `to_json`. Raises InputError for anything else."""
        if isinstance(value, str):
            return cls(value)
        if (
            not isinstance(value, dict)
            or set(value) != {"name", "settings"}
            or not isinstance(value["name"], str)
            or not isinstance(value["settings"], dict)
        ):
            raise InputError(f"An architecture should be a name with settings, not {value!r}.")
        return cls.of(value["name"], value["settings"])

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any]) -> "Architecture":
        return cls(name, tuple(sorted(settings.items())))

    def to_json(self) -> str | dict[str, Any]:
        """The name alone where every setting is at its default."""
        return {"name": self.name, "settings": dict(self.settings)} if self.settings else self.name

    def __str__(self) -> str:
        said = [f"{name}={json.dumps(value)}" for name, value in self.settings]
        return f"{self.name} ({', '.join(said)})" if said else self.name
