"""Architectures as Python code that needs nothing of this project."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Source:
    """Code that builds a network at full width, and calls it `network`."""

    imports: tuple[str, ...]  # besides those of torch and torch.nn
    lines: tuple[str, ...]  # statements
    definitions: tuple[str, ...] = ()  # classes and functions that the statements use


def call(function: str, settings: dict[str, object]) -> str:
    """Return the text of a call with keyword arguments."""
    return f"{function}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"


def definitions(objects: Iterable[Any]) -> tuple[str, ...]:
    """Return the code of classes and functions as it stands in their files."""
    return tuple(inspect.getsource(each).rstrip() for each in objects)
