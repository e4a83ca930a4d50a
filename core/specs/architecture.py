"""An architecture: a registered name and its settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """A registered name and the settings that differ from its defaults; hashable.

    Widths and other sizes are not settings, because the shapes of stored tensors determine them.
    """

    name: str = "resnet18"
    settings: tuple[tuple[str, Any], ...] = ()  # sorted by name

    @classmethod
    def from_json(cls, value: Any) -> "Architecture":
        """Undo `to_json`. Raises InputError for any other value."""
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
        """Return the name with the settings, or the name alone if all settings have defaults."""
        return {"name": self.name, "settings": dict(self.settings)} if self.settings else self.name

    def __str__(self) -> str:
        said = [f"{name}={json.dumps(value)}" for name, value in self.settings]
        return f"{self.name} ({', '.join(said)})" if said else self.name
