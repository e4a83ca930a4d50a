"""What a format makes of a network."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Made:
    """The files of one format, in memory."""

    files: Mapping[str, bytes]  # content by name; the first is the network itself
    check: str  # how it was checked, one sentence
